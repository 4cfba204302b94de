"""Where windows lie over a volume, in which order they are visited, and which voxels are finished when."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

Triple = tuple[int, int, int]
Piece = tuple[int, slice, slice]
"""A cell that a window reaches into: its number along the axis, the voxels of the cell and those of the window."""

BLOCK_NUMBERS = 2**22
"""Windows finish in groups until a block holds about this many probabilities (16 MiB): smaller ones cost more calls."""


@dataclass(frozen=True)
class Axis:
    """The windows along one axis of a tile: the voxels from `first` up to but without `stop`.

    Windows finish in groups of `group`: as the starts ascend, all voxels before the next group's first window have then
    been seen by every window that covers them.
    """

    first: int
    stop: int
    window: int
    starts: tuple[int, ...]
    """First voxel of each window that reaches into the tile; it and the end of a window may lie outside."""
    group: int = 1
    fine: bool = True
    """Whether cells also end where a group's windows end. Else there are fewer of them, and some are touched early."""

    @cached_property
    def groups(self) -> tuple[range, ...]:
        """Numbers of the windows of each group."""
        edges = [*range(0, len(self.starts), self.group), len(self.starts)]
        return tuple(range(*pair) for pair in itertools.pairwise(edges))

    @cached_property
    def cuts(self) -> tuple[int, ...]:
        """Group n finishes the voxels from cuts[n] up to but without cuts[n + 1]: none, where both are the same.

        Windows that start before the tile leave it to the last of them to finish its first voxels.
        """
        opened = (self.starts[group.start] for group in self.groups)
        return (*(max(start, self.first) for start in opened), self.stop)

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """Where the last cell ends that a window of each group reaches into."""
        ends = [min(self.starts[group[-1]] + self.window, self.stop) for group in self.groups]
        return tuple(ends if self.fine else [next(cut for cut in self.cuts if cut >= end) for end in ends])

    @cached_property
    def edges(self) -> tuple[int, ...]:
        """Where cells begin and end: a cell is touched for the first and for the last time as a whole."""
        return tuple(sorted({*self.cuts, *self.ends}))

    @cached_property
    def pieces(self) -> tuple[tuple[Piece, ...], ...]:
        """The cells that each window reaches into."""
        return tuple(tuple(self._pieces(start)) for start in self.starts)

    @property
    def span(self) -> int:
        """Most voxels that are unfinished and touched at once by a group alone."""
        return max(end - cut for end, cut in zip(self.ends, self.cuts[:-1], strict=True))

    @property
    def shared(self) -> int:
        """Most voxels of a group that wait for the next one."""
        return max((end - cut for end, cut in zip(self.ends[:-1], self.cuts[1:-1], strict=True)), default=0)

    @property
    def steps(self) -> tuple[int, int]:
        """Most voxels that a group finishes: one that another follows, and any, the last with a whole window."""
        steps = [later - cut for cut, later in itertools.pairwise(self.cuts)]
        return max(steps[:-1], default=0), max(steps)

    def cells(self, group: int) -> Iterator[tuple[int, slice]]:
        """The cells that a group finishes: their numbers, and their voxels counted from the first that it finishes."""
        low, high = self.cuts[group], self.cuts[group + 1]
        for number, (first, stop) in enumerate(itertools.pairwise(self.edges)):
            if low <= first < high:
                yield number, slice(first - low, stop - low)

    def covering(self, low: int, high: int) -> Iterator[tuple[slice, slice]]:
        """For each window that reaches into [low, high): the voxels, counted from `low`, and those of the window."""
        for start in self.starts:
            first, stop = max(start, low), min(start + self.window, high)
            if first < stop:
                yield slice(first - low, stop - low), slice(first - start, stop - start)

    def _pieces(self, start: int) -> Iterator[Piece]:
        for number, (cell, cell_stop) in enumerate(itertools.pairwise(self.edges)):
            first, stop = max(start, cell), min(start + self.window, cell_stop)
            if first < stop:
                yield number, slice(first - cell, stop - cell), slice(first - start, stop - start)


@dataclass(frozen=True)
class Lattice:
    """The windows of one tile of a volume, visited one after the other, along `order`'s last axis fastest."""

    axes: tuple[Axis, Axis, Axis]
    order: Triple
    blended: bool = True
    """Whether some voxel of the volume, be it of another tile, is seen by several windows."""

    @property
    def num_windows(self) -> int:
        """How many windows are predicted."""
        return math.prod(len(axis.starts) for axis in self.axes)

    def visits(self) -> Iterator[tuple[Triple, Triple | None]]:
        """Each window, by its number along the three axes, with the group that it completes where it is the last."""
        finishing = [
            {group[-1]: n for n, group in enumerate(axis.groups) if axis.cuts[n] < axis.cuts[n + 1]}
            for axis in self.axes
        ]
        for window in self._nested([range(len(axis.starts)) for axis in self.axes]):
            i, j, k = (groups.get(index) for groups, index in zip(finishing, window, strict=True))
            yield window, (i, j, k) if i is not None and j is not None and k is not None else None

    @property
    def waiting_voxels(self) -> int:
        """Most voxels with sums at one time: a front of windows moves through the tile.

        With axes a, b, c in the order of visits: behind the front nothing is kept, ahead nothing yet; between lie the
        planes that two groups along a share, in the row along b at hand those that two groups along b share, and the
        windows of the group itself.
        """
        planes, row = self._waiting
        return planes + row

    @property
    def kept_voxels(self) -> int:
        """Most voxels with probabilities at one time: those that wait, those of a finished block, and margins.

        The last blocks are the largest, but when the last one of a plane is finished no other row waits.
        """
        a, b, c = (self.axes[axis] for axis in self.order)
        (inner_a, outer_a), (inner_b, outer_b), (_, outer_c) = a.steps, b.steps, c.steps
        planes, row = self._waiting
        width, length = b.stop - b.first, c.stop - c.first
        margins = width * length + (outer_a + 1) * (length + outer_b + 1)
        sizes = (planes, inner_a, outer_b), (planes, outer_a, inner_b), (0, outer_a, outer_b)
        return margins + row + max(others + (i + 1) * (j + 1) * (outer_c + 1) for others, i, j in sizes)

    @property
    def _waiting(self) -> tuple[int, int]:
        """Most voxels that wait outside the row at hand, and within it."""
        a, b, c = (self.axes[axis] for axis in self.order)
        width, length = b.stop - b.first, c.stop - c.first
        row = (a.shared * b.span + (a.span - a.shared) * b.shared) * (length - c.span)
        return a.shared * (width - b.span) * length, row + a.span * b.span * c.span

    def _nested(self, ranges: Sequence[range]) -> Iterator[Triple]:
        places = [self.order.index(axis) for axis in range(3)]
        for chosen in itertools.product(*(ranges[axis] for axis in self.order)):
            i, j, k = (chosen[place] for place in places)
            yield i, j, k


def lattices(
    starts: Sequence[Sequence[int]],
    *,
    shape: Sequence[int],
    window: Sequence[int],
    num_outputs: int,
    tiles: Triple = (1, 1, 1),
    margins: Sequence[bool] = (False, False, False),
) -> list[Lattice]:
    """The tiles of a volume of `shape`, `tiles` many along each axis, each with the windows that reach into it.

    `starts` are the first voxels of all windows along each axis. Tiles end where a window starts, which leaves the
    fewest windows to two of them, and overlap by one voxel along axes with a margin. Whatever the tiles, a voxel is
    visited by its windows in the same order: that in which the sums of one undivided tile need the least memory.
    """
    order = _order(starts, shape, window)
    blended = any(
        later - start < side
        for along, side in zip(starts, window, strict=True)
        for start, later in itertools.pairwise(along)
    )
    parts = [
        list(_parts(along, size, tiles=count, margin=margin))
        for along, size, count, margin in zip(starts, shape, tiles, margins, strict=True)
    ]
    found = []
    for box in itertools.product(*parts):
        i, j, k = (
            Axis(first, stop, side, tuple(start for start in along if first - side < start < stop))
            for (first, stop), side, along in zip(box, window, starts, strict=True)
        )
        found.append(_grouped(Lattice((i, j, k), order, blended), num_outputs))
    return found


def _order(starts: Sequence[Sequence[int]], shape: Sequence[int], window: Sequence[int]) -> Triple:
    """The order of axes in which the fewest voxels wait; it must not depend on tiles, as it is that of the sums."""
    i, j, k = (Axis(0, size, side, tuple(along)) for along, size, side in zip(starts, shape, window, strict=True))
    orders: list[Triple] = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    return min(orders, key=lambda order: Lattice((i, j, k), order).waiting_voxels)


def _parts(starts: Sequence[int], size: int, *, tiles: int, margin: bool) -> Iterator[tuple[int, int]]:
    bounds = [0, *(starts[len(starts) * number // tiles] for number in range(1, tiles)), size]
    for first, stop in itertools.pairwise(bounds):
        yield max(0, first - margin), stop


def _grouped(lattice: Lattice, num_outputs: int) -> Lattice:
    """The same windows, grouped along the axis of the fastest visits first, until blocks are large enough.

    A slower axis is grouped only where a group takes all windows of the faster ones: groups follow the visits.
    """
    axes = list(lattice.axes)
    for place in reversed(lattice.order):
        axis = axes[place]
        numbers = num_outputs * math.prod(other.steps[1] for other in axes)
        count = min(max(1, BLOCK_NUMBERS // numbers), len(axis.starts))
        # Along the fastest axis cells do not wait for long, and short pieces of memory would cost time.
        axes[place] = Axis(
            axis.first, axis.stop, axis.window, axis.starts, group=count, fine=place != lattice.order[-1]
        )
        if len(axes[place].groups) > 1:
            break
    i, j, k = axes
    return Lattice((i, j, k), lattice.order, lattice.blended)
