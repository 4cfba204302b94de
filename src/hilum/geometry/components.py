"""Connected components and holes of a binary structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]

PART_VOXELS = 2**22
"""Voxels that are counted at a time."""


def components(mask: Mask) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The number of each voxel's component (same shape, 0 outside), and the voxels of each component, from 1 on.

    Voxels that share a face, an edge or a corner belong together (8 neighbours in 2D, 26 in 3D), as in nnU-Net and in
    MONAI's default. Components are numbered in the order of their first voxels.
    """
    numbers = np.zeros(mask.shape, dtype=np.int32)
    count = ndimage.label(mask, structure=np.ones((3,) * mask.ndim, dtype=bool), output=numbers)
    parts = np.array_split(numbers.ravel(), numbers.size // PART_VOXELS + 1)  # bincount makes 64-bit copies
    return numbers, np.sum([np.bincount(part, minlength=count + 1) for part in parts], axis=0)[1:]


def voxels_of(labels: npt.NDArray[np.integer], values: Sequence[int]) -> Mask:
    """Where label values are one of these: numpy's isin in parts, since it makes copies eight times as large."""
    inside = np.empty(labels.shape, dtype=bool)
    depth = max(1, PART_VOXELS * len(labels) // max(1, labels.size))
    for start in range(0, len(labels), depth):
        inside[start : start + depth] = np.isin(labels[start : start + depth], values)
    return inside


def largest_component(mask: Mask) -> Mask:
    """The component with the most voxels; of equals the one whose first voxel comes first."""
    numbers, sizes = components(mask)
    return mask if len(sizes) < 2 else numbers == 1 + int(sizes.argmax())


def components_from(mask: Mask, fewest_voxels: float) -> Mask:
    """The components with at least `fewest_voxels` voxels."""
    numbers, sizes = components(mask)
    kept = np.concatenate([[False], sizes >= fewest_voxels])
    return kept[numbers]


def filled(mask: Mask) -> Mask:
    """The structure with its holes: what no path from face to face connects to the outside of the array."""
    return ndimage.binary_fill_holes(mask)
