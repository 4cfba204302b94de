"""Exact Euclidean distances, with anisotropic voxels, to a structure and between two surfaces."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import edt
import numpy as np

from hilum.geometry.surfaces import bounding_box, surface, true_axes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]
    Distances = npt.NDArray[np.float64]
    DistanceMap = npt.NDArray[np.float32]
    Places = npt.NDArray[np.intp]

VOXELS_WORTH_A_POINT = 20
"""Searching a tree for one point costs about as much as the distance transform of this many voxels (measured)."""
REACH = 3
"""How far a surface voxel looks around before a search starts, in steps along the finest axis."""


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between two surfaces, one a surface voxel, in the unit of the spacing; in no particular order."""

    first_to_second: Distances
    second_to_first: Distances


def distance_to(mask: Mask, spacing: Sequence[float]) -> DistanceMap:
    """Distance of every voxel's centre to the centre of the nearest true voxel of `mask`, in the unit of `spacing`.

    Infinite where `mask` has no true voxel. Exact Euclidean transform by Felzenszwalb and Huttenlocher (2012).
    """
    if not mask.any():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    away = np.ascontiguousarray(~mask)
    distances: DistanceMap = edt.edt(away, anisotropy=tuple(map(float, spacing)), black_border=False)
    return distances


def surface_distances(first: Mask, second: Mask, spacing: Sequence[float]) -> SurfaceDistances:
    """From each voxel of either surface to the nearest one of the other; both structures must have a voxel.

    Works inside the smallest box around both, which changes no distance. Raises ValueError for an empty structure or
    masks of different shapes.
    """
    return Surfaces(first, second, spacing, axes=true_axes(first.shape)).distances


class Surfaces:
    """The surfaces of two structures, and what follows from distances to them; each transform is computed once.

    Everything happens inside the smallest box around both structures. The surface is sought along `axes`. Raises
    ValueError for an empty structure or masks of different shapes.
    """

    def __init__(self, first: Mask, second: Mask, spacing: Sequence[float], *, axes: Sequence[int]) -> None:
        if first.shape != second.shape or not (first.any() and second.any()):
            raise ValueError(f"expected two non-empty masks of one shape, received {first.shape} and {second.shape}")
        box = bounding_box(first | second)
        self._spacing = spacing
        self._masks = first[box], second[box]
        self._surfaces = surface(first[box], axes), surface(second[box], axes)

    @cached_property
    def distances(self) -> SurfaceDistances:
        """From each voxel of either surface to the nearest one of the other."""
        first, second = self._surfaces
        return SurfaceDistances(
            self._directed(first, second, lambda: self._to_second),
            self._directed(second, first, lambda: self._to_first),
        )

    def bands(self, width: float) -> tuple[Mask, Mask]:
        """The voxels of each structure that lie within `width` of its own surface, in the box around both."""
        first, second = self._masks
        return first & (self._to_first <= width), second & (self._to_second <= width)

    @cached_property
    def _to_first(self) -> DistanceMap:
        return distance_to(self._surfaces[0], self._spacing)

    @cached_property
    def _to_second(self) -> DistanceMap:
        return distance_to(self._surfaces[1], self._spacing)

    def _directed(self, start: Mask, goal: Mask, to_goal: Callable[[], DistanceMap]) -> Distances:
        """From each voxel of `start` to the nearest of `goal`: by a look around, and a search where that finds none."""
        places = np.stack(np.unravel_index(np.flatnonzero(start), start.shape), axis=1)
        distances, left = _look_around(places, goal, self._spacing)
        if not left.size:
            return distances
        if left.size * VOXELS_WORTH_A_POINT < start.size:
            distances[left] = _by_tree(places[left], goal, self._spacing)
        else:
            distances[left] = to_goal()[tuple(places[left].T)]
        return distances


def _look_around(places: Places, goal: Mask, spacing: Sequence[float]) -> tuple[Distances, Places]:
    """Distances of places (N, 3) to a goal within REACH, and the numbers of those places that have none so near.

    Neighbours are tried nearest first, so that the first goal that is met is the nearest one.
    """
    steps, lengths = _neighbours(tuple(map(float, spacing)))
    margin = np.abs(steps).max(axis=0)
    padded = np.pad(goal, [(width, width) for width in margin])
    widths = np.array([padded.shape[1] * padded.shape[2], padded.shape[2], 1])
    flat, here = padded.reshape(-1), (places + margin) @ widths
    distances, left = np.zeros(len(places)), np.arange(len(places))
    for step, length in zip(steps @ widths, lengths, strict=True):
        met = flat[here + step]
        distances[left[met]] = length
        left, here = left[~met], here[~met]
        if not left.size:
            break
    return distances, left


@functools.cache
def _neighbours(spacing: tuple[float, ...]) -> tuple[Places, Distances]:
    """Steps to all voxels within REACH (M, 3), the place itself included, and how long they are, nearest first."""
    reach = REACH * min(spacing)
    sides = [range(-int(reach / size), int(reach / size) + 1) for size in spacing]
    steps = np.array(list(itertools.product(*sides)))
    lengths = np.sqrt(((steps * spacing) ** 2).sum(axis=1))
    order = np.argsort(lengths, kind="stable")[: np.count_nonzero(lengths <= reach)]
    return steps[order], lengths[order]


def _by_tree(places: Places, goal: Mask, spacing: Sequence[float]) -> Distances:
    from scipy.spatial import KDTree

    # An unbalanced tree is built faster and answers as fast on a lattice.
    tree = KDTree(np.argwhere(goal) * np.asarray(spacing), balanced_tree=False, compact_nodes=False)
    nearest, _ = tree.query(places * np.asarray(spacing))
    return np.asarray(nearest, dtype=np.float64)
