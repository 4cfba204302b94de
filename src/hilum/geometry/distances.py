"""Exact Euclidean distances, with anisotropic voxels, to a structure and between two surfaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import edt
import numpy as np

from hilum.geometry.surfaces import bounding_box, surface, true_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]
    Distances = npt.NDArray[np.float64]

VOXELS_WORTH_A_POINT = 40
"""Searching a tree for one point costs about as much as the distance transform of this many voxels (measured)."""


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between two surfaces, one a surface voxel, in the unit of the spacing; in no particular order."""

    first_to_second: Distances
    second_to_first: Distances


def distance_to(mask: Mask, spacing: Sequence[float]) -> npt.NDArray[np.float32]:
    """Distance of every voxel's centre to the centre of the nearest true voxel of `mask`, in the unit of `spacing`.

    Infinite where `mask` has no true voxel. Exact Euclidean transform by Felzenszwalb and Huttenlocher (2012).
    """
    if not mask.any():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    away = np.ascontiguousarray(~mask)
    distances: npt.NDArray[np.float32] = edt.edt(away, anisotropy=tuple(map(float, spacing)), black_border=False)
    return distances


def surface_distances(first: Mask, second: Mask, spacing: Sequence[float]) -> SurfaceDistances:
    """From each voxel of either surface to the nearest one of the other; both structures must have a voxel.

    Works inside the smallest box around both, which changes no distance. Raises ValueError for an empty structure or
    masks of different shapes.
    """
    if first.shape != second.shape or not (first.any() and second.any()):
        raise ValueError(f"expected two non-empty masks of one shape, received {first.shape} and {second.shape}")
    axes = true_axes(first.shape)
    box = bounding_box(first | second)
    one, two = surface(first[box], axes), surface(second[box], axes)
    return SurfaceDistances(_directed(one, two, spacing), _directed(two, one, spacing))


def _directed(start: Mask, goal: Mask, spacing: Sequence[float]) -> Distances:
    """From each voxel of `start` to the nearest of `goal`: zeros for those they share, and a search for the rest."""
    apart = start & ~goal
    count = np.count_nonzero(apart)
    distances = np.zeros(np.count_nonzero(start))
    if count:
        search = _by_tree if count * VOXELS_WORTH_A_POINT < start.size else _by_transform
        distances[:count] = search(apart, goal, spacing)
    return distances


def _by_tree(start: Mask, goal: Mask, spacing: Sequence[float]) -> Distances:
    from scipy.spatial import KDTree

    # An unbalanced tree is built faster and answers as fast on a lattice.
    tree = KDTree(np.argwhere(goal) * np.asarray(spacing), balanced_tree=False, compact_nodes=False)
    nearest, _ = tree.query(np.argwhere(start) * np.asarray(spacing))
    return np.asarray(nearest, dtype=np.float64)


def _by_transform(start: Mask, goal: Mask, spacing: Sequence[float]) -> Distances:
    return distance_to(goal, spacing)[start].astype(np.float64)
