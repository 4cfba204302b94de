"""Which voxels of an image's grid can be interpolated from a box of another grid, and from which of its voxels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from nibabel.orientations import io_orientation
from torch import Tensor

from hilum.inference.lattice import Triple
from hilum.interpolation import ALIGNED_TOLERANCE_VOXELS
from hilum.volume import Grid

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

TARGETS = 2**18
"""Voxels of the image that are looked at together."""


@dataclass(frozen=True)
class Points:
    """Voxels of the image with what they are interpolated from: their places, axis by axis, on the other grid.

    `voxels` (n,) are flat indices into the image. Along each axis a voxel lies between its two neighbours in the box,
    `lower` (n, 3) and the next one, by the share `above` (n, 3), float32, of the way.
    """

    voxels: Tensor
    lower: Tensor
    above: Tensor

    def parts(self, most: int) -> Iterator[Points]:
        """The same points, at most so many at a time."""
        for voxels, lower, above in zip(
            *(each.split(most) for each in (self.voxels, self.lower, self.above)), strict=True
        ):
            yield Points(voxels, lower, above)


@dataclass(frozen=True)
class AxisPlaces:
    """Where the voxels along one axis of the image lie along the axis of the other grid that runs with it.

    `lower` (n,) and `above` (n,) as in `Points`; `inside` (n,) says which lie in the field of view.
    """

    lower: Integers
    above: Floats
    inside: npt.NDArray[np.bool_]
    exact: bool
    """Whether every voxel falls onto one of the other grid, so that nothing has to be interpolated."""

    @classmethod
    def of(cls, positions: Floats, size: int) -> AxisPlaces:
        """The places of `positions`, in voxels, along an axis of `size` voxels."""
        nearest = np.rint(positions)
        inside = within(positions, size)
        if size == 1 or np.abs(positions - nearest).max() < ALIGNED_TOLERANCE_VOXELS:
            lower = nearest.clip(0, size - 1).astype(np.int64)
            return cls(lower, np.zeros(len(lower)), inside, exact=True)
        lower, above = neighbours(positions, size)
        return cls(lower, above, inside, exact=False)


class Placing:
    """The way from each voxel of an image to its neighbours on the prepared grid.

    Positions are computed for the whole image, so that a voxel's neighbours and their shares do not depend on the box
    that it is interpolated from.
    """

    def __init__(self, prepared: Grid, source: Grid) -> None:
        self.prepared, self.source = prepared, source
        self._map: Floats = np.linalg.solve(prepared.affine, source.affine).astype(np.float64)
        self._axes = _aligned(self._map, source.shape)
        self._places = None if self._axes is None else self._along(self._axes)

    @property
    def exact(self) -> tuple[bool, bool, bool]:
        """The axes of the prepared grid along which nothing has to be interpolated."""
        if self._places is None:
            i, j, k = (size == 1 for size in self.prepared.shape)
        else:
            i, j, k = (places.exact for places in self._places)
        return i, j, k

    def targets(self, first: Triple, stop: Triple, repeated: Triple) -> Iterator[Box | Scattered]:
        """The voxels of the image whose neighbours all lie in the box from `first` up to but without `stop`.

        Along exact axes, those on a voxel that an earlier box held too (`repeated`) are left out. Boxes that cover the
        prepared grid and overlap by a voxel thus give each voxel of its field of view once.
        """
        owned = [
            (low + again, high) if exact else (low, high - 1)
            for low, high, again, exact in zip(first, stop, repeated, self.exact, strict=True)
        ]
        if self._axes is None or self._places is None:
            yield from self._scattered(first, stop, owned)
        else:
            yield from self._boxes(first, owned, self._axes, self._places)

    def _along(self, axes: Triple) -> tuple[AxisPlaces, AxisPlaces, AxisPlaces]:
        """The places along each axis of the prepared grid, `axes` being those that the axes of the image run with."""
        found: dict[int, AxisPlaces] = {}
        for target, axis in enumerate(axes):
            positions = self._map[axis, target] * np.arange(self.source.shape[target]) + self._map[axis, 3]
            found[axis] = AxisPlaces.of(positions, self.prepared.shape[axis])
        return found[0], found[1], found[2]

    def _boxes(
        self, first: Triple, owned: Sequence[tuple[int, int]], axes: Triple, places: Sequence[AxisPlaces]
    ) -> Iterator[Box]:
        ranges: list[slice] = []
        for axis in axes:
            (low, high), along = owned[axis], places[axis]
            here = np.flatnonzero(along.inside & (along.lower >= low) & (along.lower < high))
            if not len(here):
                return
            ranges.append(slice(int(here[0]), int(here[-1]) + 1))
        depth = max(1, TARGETS // math.prod(each.stop - each.start for each in ranges[1:]))
        for start in range(ranges[0].start, ranges[0].stop, depth):
            box = (slice(start, min(start + depth, ranges[0].stop)), *ranges[1:])
            lower = [places[axis].lower[along] - first[axis] for axis, along in zip(axes, box, strict=True)]
            above = [places[axis].above[along] for axis, along in zip(axes, box, strict=True)]
            yield Box(box, axes, lower, above, shape=self.source.shape)

    def _scattered(self, first: Triple, stop: Triple, owned: Sequence[tuple[int, int]]) -> Iterator[Scattered]:
        low, high = self._reach(first, stop)
        depth = max(1, TARGETS // max(1, math.prod(high[1:] - low[1:])))
        for start in range(low[0], high[0], depth):
            steps = [np.arange(start, min(start + depth, high[0])), *map(np.arange, low[1:], high[1:])]
            here = np.ones([len(step) for step in steps], dtype=bool)
            lowers, aboves = [], []
            for row, size, (least, most) in zip(self._map[:3], self.prepared.shape, owned, strict=True):
                i, j, k = (factor * step for factor, step in zip(row[:3], steps, strict=True))
                positions = (i[:, None, None] + j[:, None]) + (k + row[3])
                lower, above = neighbours(positions, size)
                here &= within(positions, size) & (lower >= least) & (lower < most)
                lowers.append(lower)
                aboves.append(above)
            found = np.nonzero(here)
            if len(found[0]):
                i, j, k = (step[index] for step, index in zip(steps, found, strict=True))
                voxels = (i * self.source.shape[1] + j) * self.source.shape[2] + k
                local = np.stack([lower[found] - start for lower, start in zip(lowers, first, strict=True)], 1)
                yield Scattered(voxels, local, np.stack([above[found] for above in aboves], 1))

    def _reach(self, first: Triple, stop: Triple) -> tuple[Integers, Integers]:
        """The corners of a box of the image that holds all voxels which fall into a box of the prepared grid."""
        beyond = 0.5 + ALIGNED_TOLERANCE_VOXELS  # outer voxels reach half a voxel further
        sides = [
            (low - beyond * (low == 0), high - 1 + beyond * (high == size))
            for low, high, size in zip(first, stop, self.prepared.shape, strict=True)
        ]
        corners = np.array([(*corner, 1.0) for corner in itertools.product(*sides)])
        reached = (corners @ np.linalg.inv(self._map).T)[:, :3]
        sizes = np.array(self.source.shape)
        low = np.clip(np.floor(reached.min(0)), 0, sizes).astype(np.int64)
        return low, np.clip(np.ceil(reached.max(0)) + 1, low, sizes).astype(np.int64)


class Box:
    """A box of voxels of an image whose axes run with those of the prepared grid: what lies along each axis will do."""

    def __init__(
        self, box: Any, axes: Triple, lower: Sequence[Integers], above: Sequence[Floats], *, shape: Triple
    ) -> None:
        self.box, self._axes, self._shape = box, axes, shape
        self._lower = [torch.from_numpy(each) for each in lower]
        self._above = [torch.from_numpy(each.astype(np.float32)) for each in above]

    def looked_up(self, table: Tensor) -> Tensor:
        """The values of a table (i, j, k) of the box at the lower neighbours of the image's voxels, in their shape."""
        for target, axis in enumerate(self._axes):
            table = table.index_select(axis, self._lower[target].to(table.device))
        return table.permute(self._axes)

    def points(self, chosen: Tensor) -> Points:
        """The voxels chosen by a mask in the shape of `looked_up`."""
        places = chosen.nonzero()
        i, j, k = (places[:, target] + self.box[target].start for target in range(3))
        voxels = (i * self._shape[1] + j) * self._shape[2] + k
        order = [self._axes.index(axis) for axis in range(3)]
        lower, above = (
            torch.stack([each[target].to(places.device)[places[:, target]] for target in order], 1)
            for each in (self._lower, self._above)
        )
        return Points(voxels, lower, above)

    def write(self, values: Tensor, labels: Tensor) -> None:
        """Put values, in the shape of `looked_up`, into the labels (I, J, K) of the image."""
        labels[self.box] = values.to(labels.device)


class Scattered:
    """Voxels of an image that lies obliquely on the prepared grid, one by one."""

    def __init__(self, voxels: Integers, lower: Integers, above: Floats) -> None:
        self._voxels, self._lower = torch.from_numpy(voxels), torch.from_numpy(lower)
        self._above = torch.from_numpy(above.astype(np.float32))

    def looked_up(self, table: Tensor) -> Tensor:
        """The values (n,) of a table (i, j, k) of the box at the lower neighbours of the image's voxels."""
        i, j, k = self._lower.to(table.device).unbind(1)
        return table[i, j, k]

    def points(self, chosen: Tensor) -> Points:
        """The voxels chosen by a mask (n,)."""
        voxels, lower, above = (each.to(chosen.device)[chosen] for each in (self._voxels, self._lower, self._above))
        return Points(voxels, lower, above)

    def write(self, values: Tensor, labels: Tensor) -> None:
        """Put values (n,) into the labels (I, J, K) of the image."""
        labels.view(-1)[self._voxels] = values.to(labels.device)


def within(positions: Floats, size: int) -> npt.NDArray[np.bool_]:
    """Which positions lie in the field of view of `size` voxels, from outer edge to outer edge."""
    beyond = np.abs(positions + 0.5 - size / 2) > size / 2 + ALIGNED_TOLERANCE_VOXELS
    return np.asarray(~beyond)


def neighbours(positions: Floats, size: int) -> tuple[Integers, Floats]:
    """The lower one of the two neighbours of each position, of which the upper one exists too, and the share above it.

    Of an axis with a single voxel that is 0 and no share.
    """
    clamped = positions.clip(0, size - 1)
    lower = np.floor(clamped).clip(0, max(size - 2, 0))
    return lower.astype(np.int64), clamped - lower


def _aligned(index_map: Floats, shape: Triple) -> Triple | None:
    """The prepared axis that each axis of the image runs with, or None where the grids are oblique to each other."""
    travel = np.abs(index_map[:3, :3]) * (np.asarray(shape) - 1)  # voxels crossed, by (prepared, image) axis
    i, j, k = io_orientation(index_map)[:, 0].astype(int).tolist()
    travel[[i, j, k], [0, 1, 2]] = 0
    return (i, j, k) if (travel.sum(axis=1) < ALIGNED_TOLERANCE_VOXELS).all() else None
