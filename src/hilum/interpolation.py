"""Values between voxels: smoothed and interpolated along one axis after the other, or at arbitrary points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    from torch import Tensor

    Affine = npt.NDArray[np.float64]

Mode = Literal["linear", "nearest"]
Outside = float | Literal["border"]

ALIGNED_TOLERANCE_VOXELS = 1e-3
"""Two grids count as aligned when no voxel drifts further than this: NIfTI stores affines in float32."""
TIE_VOXELS = 1e-6
"""Nearest takes the lower neighbour of a point this close to halfway, so that rounding noise cannot choose."""
GAUSSIAN_TRUNCATE = 4.0
"""The anti-aliasing kernel ends after this many standard deviations."""
SLAB_POINTS = 2**21
"""Oblique resampling works on slabs of this many points, which bounds its memory."""
PART_NUMBERS = 2**22
"""Values that are summed up together along an axis, which bounds what lies beside the result: 16 MiB of float32."""


def sample_aligned(
    tensor: Tensor,
    shape: tuple[int, int, int],
    index_map: Affine,
    sigmas: Sequence[float],
    mode: Mode,
    outside: Outside,
) -> Tensor:
    """Values on a grid whose axes run along those of `tensor`: one axis after the other, most shrunk first."""
    flipped = [axis for axis in range(3) if _runs_backwards(tensor.shape[axis + 1], shape[axis], axis, index_map)]
    if flipped:  # one copy, however many axes
        tensor = tensor.flip([axis + 1 for axis in flipped])
    for axis in sorted(range(3), key=lambda axis: shape[axis] / tensor.shape[axis + 1]):
        if axis in flipped:
            continue
        size = tensor.shape[axis + 1]
        points = index_map[axis, axis] * np.arange(shape[axis]) + index_map[axis, 3]
        taken = points if mode == "linear" else np.floor(points + 0.5 - TIE_VOXELS)
        tensor = sample_axis(tensor, axis + 1, taken, sigmas[axis])
        beyond = np.flatnonzero(np.abs(points + 0.5 - size / 2) > size / 2 + ALIGNED_TOLERANCE_VOXELS)
        if outside != "border" and len(beyond):
            tensor = tensor.index_fill(axis + 1, _on(tensor, beyond), outside)
    return tensor.contiguous()


def sample_axis(tensor: Tensor, axis: int, positions: Affine, sigma: float) -> Tensor:
    """Values at `positions` along one axis: smoothed by a Gaussian of `sigma` voxels, then interpolated linearly.

    Both steps are one weighted sum over neighbours, so that smoothing costs only what the coarser result needs.
    """
    radius = int(GAUSSIAN_TRUNCATE * sigma + 0.5)
    last = tensor.shape[axis] - 1
    if radius == 0 and np.abs(positions - np.rint(positions)).max() < ALIGNED_TOLERANCE_VOXELS:
        copied = np.rint(positions).astype(np.int64).clip(0, last)
        unchanged = np.array_equal(copied, np.arange(last + 1))
        return tensor if unchanged else tensor.index_select(axis, _on(tensor, copied))
    gaussian = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-3)) ** 2)
    gaussian = np.pad(gaussian / gaussian.sum(), 1)
    clamped = positions.clip(0, last)
    lower = np.floor(clamped).astype(np.int64)
    above = clamped - lower
    terms = []
    for offset in range(-radius, radius + 2):
        weight = (1 - above) * gaussian[offset + radius + 1] + above * gaussian[offset + radius]
        factor = _on(tensor, weight).to(tensor.dtype).view([-1 if dim == axis else 1 for dim in range(tensor.ndim)])
        terms.append((_on(tensor, (lower + offset).clip(0, last)), factor))
    return _weighted_sums(tensor, axis, terms)


def _runs_backwards(size: int, wanted: int, axis: int, index_map: Affine) -> bool:
    """Whether all voxels along an axis are wanted in the opposite order, and nothing else."""
    points = index_map[axis, axis] * np.arange(wanted) + index_map[axis, 3]
    return size == wanted > 1 and bool(np.abs(points - np.arange(size)[::-1]).max() < ALIGNED_TOLERANCE_VOXELS)


def _weighted_sums(tensor: Tensor, axis: int, terms: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """The sum of some slices of a tensor along an axis, each times its factor; some rows across it after the other."""
    sizes = list(tensor.shape)
    sizes[axis] = len(terms[0][0])
    result = tensor.new_empty(sizes)
    across = next(dim for dim in (1, 2) if dim != axis)
    depth = max(1, PART_NUMBERS * sizes[across] // max(1, result.numel()))
    for start in range(0, sizes[across], depth):
        count = min(depth, sizes[across] - start)
        rows, part = tensor.narrow(across, start, count), result.narrow(across, start, count)
        for number, (index, factor) in enumerate(terms):
            picked = rows.index_select(axis, index)
            if number == 0:
                torch.mul(picked, factor, out=part)
            else:
                part.addcmul_(picked, factor)
    return result


def sample_oblique(
    tensor: Tensor, shape: tuple[int, int, int], index_map: Affine, mode: Mode, outside: Outside
) -> Tensor:
    """Values at arbitrary points, slab by slab along the first axis."""
    result = tensor.new_empty((tensor.shape[0], *shape))
    sizes = tensor.shape[1:]
    for slab, points in _slabs(tensor, shape, index_map):
        if mode == "nearest":
            values = _pick_points(tensor, points)
        else:
            lattice = torch.stack([(2 * x + 1) / size - 1 for x, size in zip(points, sizes, strict=True)][::-1], -1)
            values = torch.nn.functional.grid_sample(
                tensor[None], lattice[None].to(tensor.dtype), padding_mode="border", align_corners=False
            )[0]
        if outside != "border":
            beyond = [((x + 0.5) / size - 0.5).abs() > 0.5 for x, size in zip(points, sizes, strict=True)]
            values = values.masked_fill(beyond[0] | beyond[1] | beyond[2], outside)
        result[:, slab] = values
    return result


def _slabs(tensor: Tensor, shape: tuple[int, int, int], index_map: Affine) -> Iterator[tuple[slice, list[Tensor]]]:
    """Slices of the first target axis with the source coordinates (three tensors) of their points."""
    depth = max(1, SLAB_POINTS // (shape[1] * shape[2]))
    for start in range(0, shape[0], depth):
        slab = slice(start, min(start + depth, shape[0]))
        steps = np.arange(slab.start, slab.stop), np.arange(shape[1]), np.arange(shape[2])
        terms = [
            [_on(tensor, row[axis] * steps[axis] + row[3] * (axis == 0)) for axis in range(3)] for row in index_map[:3]
        ]
        yield slab, [i[:, None, None] + j[:, None] + k for i, j, k in terms]


def _pick_points(tensor: Tensor, points: list[Tensor]) -> Tensor:
    """The voxels nearest to `points`, copied."""
    i, j, k = (
        (x + (0.5 - TIE_VOXELS)).floor().long().clamp_(0, size - 1)
        for x, size in zip(points, tensor.shape[1:], strict=True)
    )
    flat = (i * tensor.shape[2] + j) * tensor.shape[3] + k
    return tensor.reshape(tensor.shape[0], -1)[:, flat]


def _on(tensor: Tensor, values: npt.NDArray[np.generic]) -> Tensor:
    """`values` on the device of `tensor`; float64 becomes float32, which every device has."""
    if values.dtype == np.float64:
        values = values.astype(np.float32)
    return torch.from_numpy(values).to(tensor.device)
