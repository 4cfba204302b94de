"""Probabilities of a volume from a network that sees one window at a time, handed on as soon as they are final."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hilum.inference.lattice import Lattice, Piece, Triple
from hilum.inference.windows import PADDING, gaussian_weights

CHUNK_NUMBERS = 2**20
"""Logits that become weighted probabilities at a time: 4 MiB of float32, which stay in the cache of a CPU."""
DEVICE_CHUNK_NUMBERS = 2**26
"""The same on an accelerator, where each call costs more than the memory that it goes through."""

View = tuple[int, ...]
"""Axes of a window that are mirrored."""


@dataclass(frozen=True)
class Block:
    """Probabilities (i, j, k, num_outputs), float32, that no further window changes.

    `first` is the voxel of values[0, 0, 0] in the volume. Along an axis where `repeated` is 1 the first voxels are the
    last ones of an earlier block, so that what lies between the two can be interpolated.
    """

    values: Tensor
    first: Triple
    repeated: Triple = (0, 0, 0)

    @property
    def stop(self) -> Triple:
        """The first voxel behind the block along each axis."""
        i, j, k = (first + size for first, size in zip(self.first, self.values.shape[:3], strict=True))
        return i, j, k


@dataclass(frozen=True)
class Network:
    """A network and how it is asked: logits (B, num_outputs, *window) of images (B, C, *window)."""

    logits: Callable[[Tensor], Tensor]
    probabilities: Callable[[Tensor], Tensor]
    """Of logits (1, num_outputs, *spatial), voxel by voxel."""
    views: Sequence[View] = ((),)
    """Mirrored views of each window, of which the mean is taken; the empty one is the window itself."""
    batch_size: int = 1
    """Windows, each view counted, that pass the network together."""
    is_air: Callable[[Tensor], bool] | None = None
    """Whether what a window (C, i, j, k) shows of the image is air: the network is not asked, it is background."""
    air: Tensor | None = None
    """What is said of air instead, where there is such a test: probabilities (num_outputs,)."""


def blend(
    network: Network,
    image: Tensor,
    lattices: Sequence[Lattice],
    *,
    take: Callable[[Block], None],
    margins: Sequence[bool] = (False, False, False),
) -> None:
    """Predict all windows of an image (C, I, J, K) and give `take` each block of the volume once it is final.

    The probabilities of a voxel are the mean over its windows, weighted by `gaussian_weights`, and over their mirrored
    views (Wang et al. 2019, doi:10.1016/j.neucom.2019.01.103; nnU-Net takes the mean of the logits). Along axes with
    a margin each block begins with the last voxels of the one before. Beyond the image lie voxels of `PADDING`.

    Memory is that of the sums which wait for another window (`Lattice.waiting_voxels`), of a batch and of one block.
    The sums of a voxel are added in the order of its windows, whatever the tiles and groups are.
    """
    for lattice in lattices:
        sums = _Sums(lattice, network, image.device, margins=margins)
        turns = ((*visit, view) for visit in lattice.visits() for view in network.views)
        while batch := list(_batch(turns, image, lattice, network)):
            asked = [(turn.window, turn.view) for turn in batch if not turn.air]
            logits = iter(network.logits(_cut(image, lattice, asked)) if asked else ())
            for turn in batch:
                if turn.air:
                    sums.add_air(turn.window)
                else:
                    sums.add(turn.window, turn.view, next(logits))
                if turn.group is not None and turn.view == network.views[-1]:
                    take(sums.finished(turn.group))
            del logits  # the next batch must not find this one in memory


@dataclass(frozen=True)
class _Turn:
    """A window in one view, the group that it completes where it is the last, and whether it shows air."""

    window: Triple
    group: Triple | None
    view: View
    air: bool


def _batch(
    turns: Iterator[tuple[Triple, Triple | None, View]], image: Tensor, lattice: Lattice, network: Network
) -> Iterator[_Turn]:
    """Turns until the network has a whole batch to see, with those of air among them in their places."""
    to_see = 0
    while to_see < network.batch_size and (turn := next(turns, None)) is not None:
        air = network.is_air is not None and network.is_air(_shown(image, lattice, turn[0])[0])
        to_see += not air
        yield _Turn(*turn, air)


def _shown(image: Tensor, lattice: Lattice, window: Triple) -> tuple[Tensor, list[slice]]:
    """What a window shows of an image (C, I, J, K), and where in the window that lies: what is beyond is padding."""
    inside, place = [], []
    for axis, number, size in zip(lattice.axes, window, image.shape[1:], strict=True):
        start = axis.starts[number]
        inside.append(slice(max(start, 0), min(start + axis.window, size)))
        place.append(slice(inside[-1].start - start, inside[-1].stop - start))
    return image[:, inside[0], inside[1], inside[2]], place


def _cut(image: Tensor, lattice: Lattice, turns: Sequence[tuple[Triple, View]]) -> Tensor:
    """Windows (B, C, *window) of an image, mirrored as asked."""
    batch = image.new_empty((len(turns), len(image), *(axis.window for axis in lattice.axes)))
    for filled, (window, view) in zip(batch, turns, strict=True):
        seen, place = _shown(image, lattice, window)
        if seen.shape != filled.shape:
            filled[:] = PADDING
            filled[image[:, 0, 0, 0].isnan()] = torch.nan  # a missing channel is missing around the image too
            filled[:, place[0], place[1], place[2]] = seen
            seen = filled
        if view or seen is not filled:
            filled.copy_(seen.flip([axis + 1 for axis in view]) if view else seen)
    return batch


@dataclass
class _Sums:
    """Weighted sums of the voxels of a tile that windows have touched and that further windows will touch."""

    lattice: Lattice
    network: Network
    device: torch.device
    margins: Sequence[bool] = field(kw_only=True)

    def __post_init__(self) -> None:
        i, j, k = self.lattice.axes
        self.weights = gaussian_weights((i.window, j.window, k.window)).to(self.device)
        if not self.lattice.blended:  # nothing to blend, and no rounding from weighting
            self.weights = torch.ones_like(self.weights)
        self.cells: dict[Triple, Tensor] = {}
        self.faces: dict[tuple[int, Triple], Tensor] = {}
        # Slices of a 2D network are written one by one: each shall lie in one piece of memory.
        self.layout = sorted(range(3), key=lambda axis: self.lattice.axes[axis].window > 1)

    def add(self, window: Triple, view: View, logits: Tensor) -> None:
        """Add what the network says (num_outputs, *window) of a mirrored view of a window."""
        along_i, along_j, along_k = (axis.pieces[n] for axis, n in zip(self.lattice.axes, window, strict=True))
        for planes in _chunks(logits, along_i):
            part = self._weighted(logits, view, planes)
            for (cell_i, own_i, seen_i), (cell_j, own_j, seen_j), (cell_k, own_k, seen_k) in itertools.product(
                _within(planes, along_i), along_j, along_k
            ):
                cell = self._cell((cell_i, cell_j, cell_k), len(logits))
                cell[:, own_i, own_j, own_k] += part[:, seen_i, seen_j, seen_k]

    def add_air(self, window: Triple) -> None:
        """Add what is said of air instead of asking the network about a window in one view."""
        assert self.network.air is not None, "there is a test for air"
        pieces = (axis.pieces[n] for axis, n in zip(self.lattice.axes, window, strict=True))
        for (cell_i, own_i, seen_i), (cell_j, own_j, seen_j), (cell_k, own_k, seen_k) in itertools.product(*pieces):
            cell = self._cell((cell_i, cell_j, cell_k), len(self.network.air))
            for output, probability in enumerate(self.network.air.tolist()):
                if probability:
                    cell[output, own_i, own_j, own_k] += probability * self.weights[seen_i, seen_j, seen_k]

    def finished(self, group: Triple) -> Block:
        """The probabilities of the voxels that a group of windows finishes; their sums are forgotten."""
        axes = self.lattice.axes
        low, high = zip(*((axis.cuts[n], axis.cuts[n + 1]) for axis, n in zip(axes, group, strict=True)), strict=True)
        i, j, k = (int(self._follows(axis, group)) for axis in range(3))
        total = self._total_weights(low, high)
        cells = itertools.product(*(axis.cells(n) for axis, n in zip(axes, group, strict=True)))
        values: Tensor | None = None
        for (cell_i, own_i), (cell_j, own_j), (cell_k, own_k) in cells:
            cell = self.cells.pop((cell_i, cell_j, cell_k))
            if values is None:
                sizes = (stop - first + margin for first, stop, margin in zip(low, high, (i, j, k), strict=True))
                values = cell.new_empty((*sizes, len(cell)))
            torch.div(
                cell.permute(1, 2, 3, 0), total[own_i, own_j, own_k, None], out=values[i:, j:, k:][own_i, own_j, own_k]
            )
        assert values is not None, "windows cover the volume"
        self._keep_faces(values, group)
        return Block(values, (low[0] - i, low[1] - j, low[2] - k), (i, j, k))

    def _weighted(self, logits: Tensor, view: View, planes: slice) -> Tensor:
        """Weighted probabilities (num_outputs, planes, ...) of some planes of a window, no longer mirrored."""
        side = logits.shape[1]
        seen = slice(side - planes.stop, side - planes.start) if 0 in view else planes
        one_piece = logits[None, :, seen].contiguous()  # twice as fast as what torch does with scattered planes
        part = self.network.probabilities(one_piece)[0].float()
        if view:
            part = part.flip([axis + 1 for axis in view])
        return part * self.weights[planes] if self.lattice.blended else part

    def _cell(self, number: Triple, num_outputs: int) -> Tensor:
        """The sums (num_outputs, i, j, k) of a cell, 0 where it has not been touched before."""
        cell = self.cells.get(number)
        if cell is None:
            edges = (axis.edges[n : n + 2] for axis, n in zip(self.lattice.axes, number, strict=True))
            sizes = [stop - first for first, stop in edges]
            zeros = torch.zeros((num_outputs, *(sizes[axis] for axis in self.layout)), device=self.device)
            cell = zeros.permute(0, *(1 + self.layout.index(axis) for axis in range(3)))
            self.cells[number] = cell
        return cell

    def _total_weights(self, low: Sequence[int], high: Sequence[int]) -> Tensor:
        """How much weight the voxels (i, j, k) of a box receive from all their windows and views."""
        total = self.weights.new_zeros([stop - first for first, stop in zip(low, high, strict=True)])
        axes = zip(self.lattice.axes, low, high, strict=True)
        for covered in itertools.product(*(axis.covering(first, stop) for axis, first, stop in axes)):
            (box_i, seen_i), (box_j, seen_j), (box_k, seen_k) = covered
            total[box_i, box_j, box_k] += self.weights[seen_i, seen_j, seen_k]
        return total.mul_(len(self.network.views))

    def _follows(self, axis: int, group: Triple) -> bool:
        """Whether the block of a group begins with the last voxels of the one before it along an axis."""
        along = self.lattice.axes[axis]
        return self.margins[axis] and along.cuts[group[axis]] > along.first

    def _keep_faces(self, values: Tensor, group: Triple) -> None:
        """Put the last voxels of earlier blocks before a block, and keep its own last ones for those that follow."""
        for axis in range(3):
            if self._follows(axis, group):
                values.select(axis, 0).copy_(self.faces.pop((axis, group)))
        for axis, margin in enumerate(self.margins):
            if margin and group[axis] + 1 < len(self.lattice.axes[axis].groups):
                i, j, k = (number + (axis == place) for place, number in enumerate(group))
                self.faces[axis, (i, j, k)] = values.select(axis, -1).clone()


def _chunks(logits: Tensor, pieces: Sequence[Piece]) -> Iterator[slice]:
    """Some planes of a window after the other, as far as pieces of it are wanted.

    They are the same for every division of the volume: the last bit of a probability may depend on what it is computed
    together with.
    """
    most = CHUNK_NUMBERS if logits.device.type == "cpu" else DEVICE_CHUNK_NUMBERS
    depth = max(1, most // (logits.numel() // logits.shape[1]))
    for start in range(0, logits.shape[1], depth):
        if start + depth > pieces[0][2].start and start < pieces[-1][2].stop:
            yield slice(start, min(start + depth, logits.shape[1]))


def _within(planes: slice, pieces: Sequence[Piece]) -> Iterator[Piece]:
    """The parts of pieces of a window that lie in some of its planes, counted from the first of these."""
    for cell, own, seen in pieces:
        first, stop = max(seen.start, planes.start), min(seen.stop, planes.stop)
        if first < stop:
            shift = own.start - seen.start
            yield cell, slice(first + shift, stop + shift), slice(first - planes.start, stop - planes.start)
