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


def sample_aligned(
    tensor: Tensor,
    shape: tuple[int, int, int],
    index_map: Affine,
    sigmas: Sequence[float],
    mode: Mode,
    outside: Outside,
) -> Tensor:
    """Values on a grid whose axes run along those of `tensor`: one axis after the other, most shrunk first."""
    for axis in sorted(range(3), key=lambda axis: shape[axis] / tensor.shape[axis + 1]):
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
    shape = [-1 if dim == axis else 1 for dim in range(tensor.ndim)]
    result: Tensor | None = None
    for offset in range(-radius, radius + 2):
        weight = (1 - above) * gaussian[offset + radius + 1] + above * gaussian[offset + radius]
        picked = tensor.index_select(axis, _on(tensor, (lower + offset).clip(0, last)))
        factor = _on(tensor, weight).to(tensor.dtype).view(shape)
        result = picked.mul_(factor) if result is None else result.addcmul_(picked, factor)
    return result if result is not None else tensor


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
