"""Whether two thumbnails show the same image: one is laid onto the other, then their finest common detail compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from hilum.data.audit.search import Candidate, side_of, turned
from hilum.data.audit.thumbnails import detail, smaller

COARSE = ((0.5, 1.5, 4.0, 4, 0.0), (0.5, 0.7, 2.0, 3, 0.6))
"""Share of the side, band of detail (two standard deviations in pixels), Gauss-Newton steps, and the correlation below
which a pair is no copy and goes no further, from coarse to fine."""
COARSE_3D = ((0.5, 1.5, 4.0, 4, 0.0), (0.5, 0.7, 2.0, 3, 0.9), (1.0, 0.5, 1.5, 0, 0.75))
"""Volumes: the last stage costs six times as much as the others, so the finest detail is compared once before it.
Planted copies that reach the end have 0.94 and 0.86 or more here, and the last stage adds 0.04 at most."""
FINEST = {128: (1.0, 1.0, 3.0, 2, 0.0), 64: (1.0, 0.7, 2.0, 2, 0.0), 32: (1.0, 0.5, 1.5, 2, 0.0)}
"""The last stage by side: the fewer pixels, the finer the detail that has to agree."""
STEP = 0.05
"""A step moves or stretches by at most this share of half the side."""
PIXELS = 2**20
"""Pixels or voxels aligned at a time, which bounds the memory."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Alignment:
    """How alike two images are once aligned (correlation of their detail, negative for a negative), and where.

    Of a pair that is no copy, the score is that of the stage that told so.
    A point x (-1 to 1 along each axis) of the first lies at scale * x + shift in the second, once that is turned.
    """

    score: float
    scale: tuple[float, ...]
    shift: tuple[float, ...]


def align(
    thumbnails: Sequence[Tensor], candidates: Sequence[Candidate], *, progress: Progress | None = None
) -> list[Alignment]:
    """The alignment of each candidate; thumbnails are (*square) uint8, of several sides.

    `progress` is told how many of how many candidates are done.
    """
    groups: dict[int, list[int]] = defaultdict(list)
    for index, pair in enumerate(candidates):
        first, second = thumbnails[pair.first], thumbnails[pair.second]
        groups[side_of(len(first), len(second), axes=first.ndim)].append(index)
    found: dict[int, Alignment] = {}
    for side, members in groups.items():
        count = max(1, PIXELS // side ** thumbnails[0].ndim)
        for start in range(0, len(members), count):
            batch = members[start : start + count]
            found |= dict(zip(batch, _aligned(thumbnails, [candidates[index] for index in batch], side), strict=True))
            if progress:
                progress(len(found), len(candidates))
    return [found[index] for index in range(len(candidates))]


def _aligned(thumbnails: Sequence[Tensor], pairs: Sequence[Candidate], side: int) -> list[Alignment]:
    axes = thumbnails[pairs[0].first].ndim
    first = torch.cat([smaller(thumbnails[pair.first][None], side) for pair in pairs])
    second = torch.cat(
        [turned(smaller(thumbnails[pair.second][None], side), pair.orientation, axes=axes) for pair in pairs]
    )
    cuts = torch.tensor([pair.window for pair in pairs])
    placed = torch.stack([cuts[..., 1] - cuts[..., 0], cuts.sum(-1) - 1], dim=-1)
    score = torch.zeros(len(pairs))
    alive = torch.arange(len(pairs))
    for share, fine, coarse, steps, least in (*(COARSE_3D if axes == 3 else COARSE), FINEST[side]):
        size = round(side * share)
        bands = [detail(smaller(images[alive], size), fine, coarse) for images in (first, second)]
        placed[alive], score[alive] = _refine(bands[0], bands[1], placed[alive], margin=2 * coarse / size, steps=steps)
        alive = alive[score[alive].abs() >= least]
        if not len(alive):
            break
    return [
        Alignment(float(value), tuple(where[:, 0].tolist()), tuple(where[:, 1].tolist()))
        for value, where in zip(score, placed, strict=True)
    ]


def _refine(first: Tensor, second: Tensor, placed: Tensor, *, margin: float, steps: int) -> tuple[Tensor, Tensor]:
    """Scale and shift (N, axes, 2) after some Gauss-Newton steps, and the correlation (N,) where the images overlap.

    A margin, as a share of half the side, is left out on all borders: detail there depends on what was cut off.
    """
    axes, size = first.ndim - 1, first.shape[-1]
    slopes = torch.gradient(second, dim=tuple(range(1, axes + 1)))
    moving = torch.stack([second, *(slope * size / 2 for slope in slopes)], dim=1)
    line = (2 * torch.arange(size) + 1) / size - 1
    used = (line.abs() < 1 - margin).nonzero()[:, 0]
    for axis in range(1, axes + 1):
        first = first.index_select(axis, used)
    line = line[used]
    points = torch.stack(torch.meshgrid(*[line] * axes, indexing="ij"), dim=-1)
    damping = 1e-6 * torch.eye(2 * axes)
    for _ in range(steps):
        values, inside = _sampled(moving, points, placed, margin=margin)
        fixed, moved = first.flatten(1) * inside, values[:, 0] * inside
        gain = ((fixed * moved).sum(1) / moved.square().sum(1).clamp(min=1e-6))[:, None]
        slope = values[:, 1:] * (gain * inside)[:, None]
        jacobian = torch.cat([slope * points.reshape(-1, axes).T, slope], dim=1)
        normal = jacobian @ jacobian.transpose(1, 2)
        normal = normal + 1e-3 * torch.diag_embed(normal.diagonal(dim1=1, dim2=2)) + damping
        change = torch.linalg.solve(normal, (jacobian * (fixed - gain * moved)[:, None]).sum(2))
        placed = placed + change.clamp(-STEP, STEP).reshape(-1, 2, axes).transpose(1, 2)
    values, inside = _sampled(moving[:, :1], points, placed, margin=margin)
    fixed, moved = first.flatten(1) * inside, values[:, 0] * inside
    return placed, (fixed * moved).sum(1) / (fixed.norm(dim=1) * moved.norm(dim=1)).clamp(min=1e-6)


def _sampled(moving: Tensor, points: Tensor, placed: Tensor, *, margin: float) -> tuple[Tensor, Tensor]:
    """Values (N, channels, points) of the moving images at the placed points, and which of them count (N, points)."""
    axes = points.shape[-1]
    shape = (-1, *[1] * axes, axes)
    where = points * placed[..., 0].reshape(shape) + placed[..., 1].reshape(shape)
    values = grid_sample(moving, where.flip(-1), padding_mode="border", align_corners=False)
    inside = (where.abs() < 1 - margin).all(-1)
    return values.flatten(2), inside.flatten(1).float()
