"""How much memory it takes to read an image and to prepare it, told by headers before a voxel is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hilum.inference.memory import BYTES

if TYPE_CHECKING:
    from hilum.formats.base import Header
    from hilum.prepare.base import PrepareConfig
    from hilum.volume import Grid

PART_BYTES = 64 * 2**20
"""What lies beside whole images while they are read and changed: parts of them, and the file as it is compressed."""


def preparation_bytes(headers: Sequence[Header], steps: Sequence[PrepareConfig], *, process_bytes: int) -> int:
    """Most bytes of the process while the images of one case are read and pass these steps, `process_bytes` counted.

    The image as it was read is let go of once the first step is done with it. A step whose result only the voxels tell
    is taken to keep the grid, which none of them enlarges.
    """
    grid = headers[0].grid
    channels = sum(header.channels * header.frames for header in headers)
    needed, now = [_reading_bytes(headers)], grid
    for step in steps:
        after = step.grid_after(now) or now
        needed.append(_step_bytes(now, after, channels))
        now = after
    return process_bytes + PART_BYTES + max(needed)


def prepared_grid(grid: Grid, steps: Sequence[PrepareConfig]) -> Grid | None:
    """The grid of an image after these steps; None where only its voxels tell."""
    after: Grid | None = grid
    for step in steps:
        after = None if after is None else step.grid_after(after)
    return after


def _reading_bytes(headers: Sequence[Header]) -> int:
    """The images read so far, and the next one as it is stored; several are then put together as another copy."""
    voxels = [header.channels * header.frames * math.prod(header.grid.shape) for header in headers]
    stored = max(count * (BYTES + _stored_bytes(header)) for count, header in zip(voxels, headers, strict=True))
    return max(stored + BYTES * (sum(voxels) - max(voxels)), 2 * BYTES * sum(voxels) if len(voxels) > 1 else 0)


def _stored_bytes(header: Header) -> int:
    """Bytes of a value as it is read: float64 where the header scales values, or says no type that numpy knows."""
    try:
        return 8 if "scl_slope" in header.facts else np.dtype(header.stored or "float64").itemsize
    except TypeError:
        return 8


def _step_bytes(before: Grid, after: Grid, channels: int) -> int:
    """What a step holds: the image before it and after it, and one more channel, or one more result of resampling.

    Axes are resampled one after the other, the most shrunk one first, each from the result of the one before.
    """
    old, new = math.prod(before.shape), math.prod(after.shape)
    if sorted(before.shape) == sorted(after.shape):
        return BYTES * (channels * (old + new) + new)
    shrunk = min(size / other for size, other in zip(after.shape, before.shape, strict=True))
    largest = max(new, math.ceil(old * min(shrunk, 1.0)))
    return BYTES * channels * (old + 2 * largest)
