"""Blocks of a volume: whatever tiles, groups and batches there are, the probabilities keep every bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inference.brute_force import streamed, whole
from torch import Tensor

from hilum.inference import blending, lattice
from hilum.inference.axes import mirrorings
from hilum.inference.blending import Block, Network
from hilum.inference.lattice import Lattice, Triple, lattices
from hilum.inference.windows import all_starts

sides = st.integers(1, 11)
triples = st.tuples(sides, sides, sides)


class Placed:
    """Probabilities of three classes from grey value and place in the window, voxel by voxel, counting the windows."""

    def __init__(self, window: Triple) -> None:
        generator = torch.Generator().manual_seed(1)
        self.place = torch.randn((3, *window), generator=generator)
        self.count = 0

    def __call__(self, windows: Tensor) -> Tensor:
        self.count += len(windows)
        return self.place * (1 + windows[:, :1])


def softmax(logits: Tensor) -> Tensor:
    return logits.softmax(1)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lattice, "BLOCK_NUMBERS", 300)
    monkeypatch.setattr(blending, "CHUNK_NUMBERS", 200)


@settings(max_examples=25)
@given(
    shape=triples,
    window=st.tuples(*[st.integers(1, 6)] * 3),
    overlap=st.sampled_from([0.0, 0.3, 0.5, 0.7]),
    tiles=st.tuples(*[st.integers(1, 3)] * 3),
    margins=st.tuples(*[st.booleans()] * 3),
    batch_size=st.integers(1, 5),
    flipped=st.booleans(),
)
def test_tiles_groups_and_batches_change_no_bit(
    shape: Triple,
    window: Triple,
    overlap: float,
    tiles: Triple,
    margins: tuple[bool, ...],
    batch_size: int,
    flipped: bool,
) -> None:
    image = torch.randn(1, *shape, generator=torch.manual_seed(2))
    flips = mirrorings([0, 2], ["a", "b", "c"]) if flipped else ()
    placed = Placed(window)
    starts = all_starts(shape, window, overlap)
    i, j, k = (min(count, len(along)) for count, along in zip(tiles, starts, strict=True))
    views = ((), *flips)
    undivided = streamed(Network(placed, softmax, views=views), image, window, overlap)
    divided = streamed(
        Network(placed, softmax, views=views, batch_size=batch_size),
        image,
        window,
        overlap,
        tiles=(i, j, k),
        margins=margins,
    )
    assert torch.equal(divided, undivided)
    expected = whole(lambda x: softmax(placed(x)), image[None], window=window, overlap=overlap, flips=flips)[0]
    torch.testing.assert_close(divided, expected, rtol=1e-5, atol=1e-6)  # sums of another order


@settings(max_examples=25)
@given(
    shape=triples,
    window=st.tuples(*[st.integers(1, 6)] * 3),
    overlap=st.sampled_from([0.0, 0.3, 0.5, 0.7]),
    margins=st.tuples(*[st.booleans()] * 3),
)
def test_no_more_is_kept_than_said(shape: Triple, window: Triple, overlap: float, margins: tuple[bool, ...]) -> None:
    waiting = kept = 0

    class Watched(blending._Sums):
        def add(self, *given: Any) -> None:
            nonlocal waiting
            super().add(*given)
            waiting = max(waiting, self._numbers)

        def finished(self, group: Triple) -> Block:
            nonlocal kept
            block = super().finished(group)
            kept = max(kept, self._numbers + block.values.numel())
            return block

        @property
        def _numbers(self) -> int:
            return sum(part.numel() for part in (*self.cells.values(), *self.faces.values()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blending, "_Sums", Watched)
        streamed(Network(Placed(window), softmax), torch.zeros(1, *shape), window, overlap, margins=margins)
    starts = all_starts(shape, window, overlap)
    (one,) = lattices(starts, shape=shape, window=window, num_outputs=3, margins=margins)
    assert kept <= 3 * one.kept_voxels
    if not any(margins):
        assert waiting <= 3 * one.waiting_voxels


def divided(length: int, tiles: Triple = (1, 1, 1)) -> list[Lattice]:
    shape, window = (40, 36, length), (16, 16, 16)
    starts = all_starts(shape, window, 0.5)
    return lattices(starts, shape=shape, window=window, num_outputs=105, tiles=tiles, margins=(True, True, True))


def test_what_waits_does_not_grow_with_the_length_of_the_volume() -> None:
    (short,), (long,) = divided(200), divided(2000)
    assert long.kept_voxels == short.kept_voxels
    assert long.kept_voxels < 40 * 36 * 16 < 40 * 36 * 200
    assert all(part.kept_voxels < 0.7 * long.kept_voxels for part in divided(2000, (2, 2, 1)))


def test_an_undivided_volume_needs_each_window_once_and_tiles_share_a_few() -> None:
    once = [len(along) for along in all_starts((40, 36, 200), (16, 16, 16), 0.5)]
    (one,) = divided(200)
    assert one.num_windows == once[0] * once[1] * once[2]
    two = divided(200, (2, 1, 1))
    assert one.num_windows < sum(part.num_windows for part in two) <= one.num_windows * (once[0] + 2) / once[0]


def test_windows_pass_the_network_once_in_full_batches() -> None:
    sizes: list[int] = []
    placed = Placed((4, 4, 4))

    def counting(windows: Tensor) -> Tensor:
        sizes.append(len(windows))
        return placed(windows)

    streamed(Network(counting, softmax, views=((), (0,)), batch_size=4), torch.zeros(1, 8, 8, 6), (4, 4, 4), 0.5)
    assert sizes == [4] * 9  # 3 x 3 x 2 windows in two views


def test_slices_finish_together_until_a_block_is_large_enough() -> None:
    starts = all_starts((5, 7, 40), (5, 7, 1), 0.5)
    (one,) = lattices(starts, shape=(5, 7, 40), window=(5, 7, 1), num_outputs=2)
    assert [len(axis.groups) for axis in one.axes] == [1, 1, 10]  # 4 slices of 70 numbers, of 300
    assert one.waiting_voxels == 5 * 7 * 4
