"""Where a patch is cut: uniformly, or around a voxel of a structure; a pure function of its generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

MAX_VOXELS_KEPT = 4096
"""Voxels remembered of each structure of a case to place patches on: enough to cover it, few enough to keep."""


def structure_voxels(
    target: npt.NDArray[np.int8 | np.int16], foreground: Sequence[int], *, exclusive: bool
) -> dict[int, npt.NDArray[np.int32]]:
    """Coordinates (n, 3) of voxels of each structure that `target` (1 or R, I, J, K) shows.

    At most MAX_VOXELS_KEPT of them, spread over the whole structure.
    """
    found: dict[int, npt.NDArray[np.int32]] = {}
    # One look at the whole mask: the structures are a small part of it, and there may be many of them.
    anywhere = np.flatnonzero(target[0] >= min(foreground)) if exclusive and foreground else np.empty(0, np.intp)
    shown = target[0].ravel()[anywhere] if exclusive else anywhere
    for index in foreground:
        flat = anywhere[shown == index] if exclusive else np.flatnonzero(target[index] == 1)
        if len(flat):
            spread = np.linspace(0, len(flat) - 1, min(len(flat), MAX_VOXELS_KEPT)).round().astype(np.int64)
            spots = np.unravel_index(flat[spread], target.shape[1:])
            found[index] = np.stack(spots, axis=1).astype(np.int32)
    return found


def patch_start(
    rng: np.random.Generator,
    shape: Sequence[int],
    size: Sequence[int],
    *,
    structures: Mapping[int, npt.NDArray[np.int32]],
    foreground: float,
) -> tuple[int, ...]:
    """The first voxel of a patch of `size` in an image of `shape`; negative where the patch is larger than the image.

    With probability `foreground` the patch holds a random voxel of a random structure, within its middle half unless
    the image's edge is in the way; otherwise it lies anywhere inside the image. Along an axis on which the patch is
    larger than the image, the image lies at a random place inside it, so that the padding varies.
    """
    extents = [(min(0, n - s), max(0, n - s)) for n, s in zip(shape, size, strict=True)]
    if structures and rng.random() < foreground:
        spots = structures[sorted(structures)[rng.integers(len(structures))]]
        spot = spots[rng.integers(len(spots))]
        offsets = [int(rng.integers(s // 4, s - s // 4)) for s in size]
        return tuple(int(np.clip(c - o, low, high)) for c, o, (low, high) in zip(spot, offsets, extents, strict=True))
    return tuple(int(rng.integers(low, high + 1)) for low, high in extents)


def cut(
    array: npt.NDArray[np.generic], start: Sequence[int], size: Sequence[int], *, fill: float | npt.ArrayLike
) -> npt.NDArray[np.generic]:
    """The patch (C, *size) of `array` (C, I, J, K) at `start`; outside the image it is `fill`, or `fill` (C,)."""
    sources, targets, inside = [], [], True
    for first, length, available in zip(start, size, array.shape[1:], strict=True):
        low, high = max(0, first), min(available, first + length)
        sources.append(slice(low, high))
        targets.append(slice(low - first, high - first))
        inside = inside and high - low == length
    if inside:
        return array[(slice(None), *sources)].copy()  # the image stays in memory for other samples
    patch = np.empty((array.shape[0], *size), dtype=array.dtype)
    patch[:] = np.reshape(fill, (-1, 1, 1, 1))
    patch[(slice(None), *targets)] = array[(slice(None), *sources)]
    return patch
