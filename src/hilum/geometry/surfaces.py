"""The surface of a binary structure, and the smallest boxes around structures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]
    Box = tuple[slice, ...]

LARGEST_IN_ONE_PASS = 2**16
"""Boxes of label values up to this are found in one pass, which keeps a list as long as the largest of them."""
FEW_VALUES = 8
"""So many label values are sought one after the other, in less time than one pass takes for all of them (measured)."""


def bounding_box(mask: Mask) -> Box:
    """The slices of the smallest box that holds every true voxel; empty slices where there is none."""
    box = [slice(0, size) for size in mask.shape]
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        occupied = np.flatnonzero(mask[tuple(box)].any(axis=others))
        if not occupied.size:
            return (slice(0, 0),) * mask.ndim
        box[axis] = slice(int(occupied[0]), int(occupied[-1]) + 1)
    return tuple(box)


def label_boxes(labels: npt.NDArray[np.integer], values: Sequence[int]) -> dict[int, Box]:
    """The smallest box of each of the label values, by value; empty slices for a value that does not occur."""
    from scipy import ndimage

    nowhere = (slice(0, 0),) * labels.ndim
    many = len(values) > FEW_VALUES
    together = [value for value in values if many and 0 < value <= LARGEST_IN_ONE_PASS]
    found = ndimage.find_objects(labels, max(together)) if together else []
    boxes = {value: found[value - 1] or nowhere for value in together}
    return boxes | {value: bounding_box(labels == value) for value in values if value not in boxes}


def enclosing_box(boxes: Sequence[Box]) -> Box:
    """The smallest box around several ones of the same array; those that are empty do not count."""
    filled = [box for box in boxes if all(side.stop > side.start for side in box)]
    if not filled:
        return boxes[0]
    return tuple(
        slice(min(side.start for side in sides), max(side.stop for side in sides))
        for sides in zip(*filled, strict=True)
    )


def surface(mask: Mask, axes: Sequence[int]) -> Mask:
    """The true voxels with a false neighbour along one of `axes` (neighbours share a face); same shape as `mask`.

    What lies beyond the array counts as false, so that a structure cut by the image's edge has a surface there.
    """
    interior = mask.copy()
    for axis in axes:
        inner, outer = np.moveaxis(interior, axis, 0), np.moveaxis(mask, axis, 0)
        inner[1:] &= outer[:-1]
        inner[:-1] &= outer[1:]
        inner[0] = inner[-1] = False
    return mask & ~interior


def true_axes(shape: Sequence[int]) -> tuple[int, ...]:
    """The axes along which an image of `shape` has more than one voxel: (0, 1) for an image with K = 1.

    A structure has no surface along the others, as nothing was seen there. A single voxel keeps all its axes.
    """
    return tuple(axis for axis, size in enumerate(shape) if size > 1) or tuple(range(len(shape)))
