"""How much memory a prediction takes, and how it is divided to keep to a budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hilum.errors import DataError
from hilum.inference.lattice import Lattice, Triple

PROCESS_BYTES = 450 * 2**20
"""Python with torch and all else that prediction loads, on a CPU."""
LATER_BYTES = 128 * 2**20
"""The part of it that is loaded after the network: what counts, reads, writes and compares."""
PROCESS_STEP_BYTES = 32 * 2**20
"""What a process takes is rounded up to a multiple of this, so that it is the same each time."""
WORK_BYTES = 96 * 2**20
"""What deciding a block takes besides it, however large it is: places of voxels, and what lies between them."""
BYTES = 4
"""Of a probability: float32."""
CHANNEL_GROUP = 16
"""Channels that oneDNN keeps side by side (nChw16c), on every processor with AVX-512; others take 8."""


def process_bytes(now: int) -> int:
    """What this process takes beside tensors, from what it has `now` that the network is there.

    That is `PROCESS_BYTES`, but for networks whose libraries or plugins take more.
    """
    needed = now + LATER_BYTES
    return PROCESS_BYTES if needed <= PROCESS_BYTES else -(-needed // PROCESS_STEP_BYTES) * PROCESS_STEP_BYTES


class Divide(Protocol):
    """Gives the windows over a volume in a number of tiles along each axis."""

    def __call__(self, *, tiles: Triple) -> list[Lattice]:
        """The lattice of each tile."""


@dataclass(frozen=True)
class Needs:
    """What a prediction takes whatever its division: bytes that stay, and bytes of one window in the network."""

    fixed: int
    window: int
    logits: int
    """Bytes of what the network says of one window, kept until it is blended."""
    num_outputs: int

    def num_bytes(self, tiles: Sequence[Lattice], batch_size: int) -> int:
        """Most bytes at one time."""
        sums = BYTES * self.num_outputs * max(lattice.kept_voxels for lattice in tiles)
        return self.fixed + sums + max(batch_size * self.window, batch_size * self.logits + WORK_BYTES)


@dataclass(frozen=True)
class Plan:
    """How a volume is divided, and the memory that this takes at most."""

    lattices: tuple[Lattice, ...]
    batch_size: int
    num_bytes: int | None = None
    """None where there is no limit to keep to."""

    @property
    def num_windows(self) -> int:
        """How many windows are predicted, those counted again that two tiles need."""
        return sum(lattice.num_windows for lattice in self.lattices)


def undivided(divide: Divide, *, batch_size: int) -> Plan:
    """The plan without a limit of memory."""
    return Plan(tuple(divide(tiles=(1, 1, 1))), batch_size)


def planned(divide: Divide, needs: Needs, *, batch_size: int, most_bytes: int) -> Plan:
    """The division with the fewest windows that fits into `most_bytes`, and then the largest batch that still does.

    `divide` gives the lattices for a number of tiles along each axis. The choice depends on sizes alone, not on what
    memory is free, so that a case is always predicted alike. Raises DataError where even single windows in the
    narrowest tiles take more.
    """
    least = []
    for lattices in _divisions(divide):
        least.append(needs.num_bytes(lattices, 1))
        if least[-1] <= most_bytes:
            size = next(n for n in range(batch_size, 0, -1) if needs.num_bytes(lattices, n) <= most_bytes)
            return Plan(tuple(lattices), size, needs.num_bytes(lattices, size))
    raise DataError(
        f"needs {gigabytes(min(least))} GB of memory at least, and predict.memory_gb allows {gigabytes(most_bytes)}: "
        f"{gigabytes(needs.fixed)} for the program, the image and its labels, {gigabytes(needs.window)} for one window "
        "in the network, the rest for windows that overlap; raise predict.memory_gb, or lower predict.overlap"
    )


def _divisions(divide: Divide) -> Iterator[list[Lattice]]:
    """The undivided volume, then one tile more at a time, along the axis where that costs fewer windows.

    The axis along which the front of windows moves is never divided: that would save nothing.
    """
    tiles = [1, 1, 1]
    lattices = divide(tiles=(1, 1, 1))
    yield lattices
    across = lattices[0].order[1:]
    most = [len(axis.starts) for axis in lattices[0].axes]
    while finer := [axis for axis in across if tiles[axis] < most[axis]]:
        choices = {axis: divide(tiles=_one_more(tiles, axis)) for axis in finer}
        chosen = min(finer, key=lambda axis: sum(lattice.num_windows for lattice in choices[axis]))
        tiles[chosen] += 1
        yield choices[chosen]


def _one_more(tiles: Sequence[int], axis: int) -> Triple:
    i, j, k = (count + (axis == place) for place, count in enumerate(tiles))
    return i, j, k


def network_bytes(
    model: nn.Module, shape: Sequence[int], *, device: torch.device, autocast: Callable[[], AbstractContextManager[Any]]
) -> int:
    """Most bytes of tensors that exist at one time while a network answers images of `shape` (B, C, *spatial).

    Counted on tensors that have shapes and no content. On a CPU convolutions also hold their input and output in an
    order of their own, in groups of 16 channels. A network that looks at values is counted on images of zeros instead.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            return _counted(model, shape, device=device, autocast=autocast)
    except (RuntimeError, NotImplementedError):
        return _counted(model, shape, device=device, autocast=autocast)


def _counted(
    model: nn.Module, shape: Sequence[int], *, device: torch.device, autocast: Callable[[], AbstractContextManager[Any]]
) -> int:
    images = torch.zeros(tuple(shape), device=device)
    live = _Live(reordering=device.type == "cpu")
    with autocast(), live:
        model(images)
    return images.nbytes + live.peak


class _Live(TorchDispatchMode):
    """Watches which tensors exist."""

    def __init__(self, *, reordering: bool) -> None:
        super().__init__()
        self.reordering = reordering
        self.peak = 0
        self.live: dict[StorageWeakRef, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.live = {ref: size for ref, size in self.live.items() if not ref.expired()}
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                self.live[StorageWeakRef(storage)] = storage.nbytes()
        extra = _reordered(args[0]) + _reordered(result) if self.reordering and "convolution" in str(func) else 0
        self.peak = max(self.peak, sum(self.live.values()) + extra)
        return result


def _reordered(image: Tensor) -> int:
    """Bytes of an image (B, C, *spatial) whose channels are filled up to groups."""
    channels = image.shape[1]
    return image.nbytes // channels * (-(-channels // CHANNEL_GROUP) * CHANNEL_GROUP)


def gigabytes(num_bytes: int) -> str:
    """A size in GB of 2^30 bytes, rounded up to hundredths."""
    return f"{math.ceil(num_bytes / 2**30 * 100) / 100:g}"
