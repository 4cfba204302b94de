"""Where patches lie, against the rules written out voxel by voxel."""

import numpy as np
import numpy.typing as npt
import pytest

from hilum.data.patches import MAX_VOXELS_KEPT, cut, patch_start, structure_voxels
from hilum.problem import IGNORE
from hilum.random import generator

Spots = dict[int, npt.NDArray[np.int32]]


def starts(
    shape: tuple[int, ...], size: tuple[int, ...], *, structures: Spots, foreground: float, n: int = 400
) -> npt.NDArray[np.int64]:
    return np.array(
        [
            patch_start(generator(0, 0, k, "patch"), shape, size, structures=structures, foreground=foreground)
            for k in range(n)
        ]
    )


def test_the_same_generator_gives_the_same_patch() -> None:
    again = [starts((20, 20, 20), (5, 6, 7), structures={}, foreground=0.0, n=20) for _ in range(2)]
    assert np.array_equal(again[0], again[1])
    assert len({tuple(start) for start in again[0]}) > 15


def test_uniform_patches_reach_both_ends_and_never_leave_the_image() -> None:
    found = starts((9, 8, 5), (4, 8, 4), structures={}, foreground=0.5, n=2000)
    assert [sorted(set(axis)) for axis in found.T.tolist()] == [list(range(6)), [0], [0, 1]]
    expected = 2000 / 6
    assert (np.abs(np.bincount(found[:, 0]) - expected) < 5 * np.sqrt(expected)).all()


def test_a_patch_larger_than_the_image_holds_all_of_it_at_varying_places() -> None:
    for structures in ({}, {1: np.array([[2, 2, 2]], dtype=np.int32)}):
        found = starts((5, 5, 5), (8, 5, 3), structures=structures, foreground=1.0)
        assert set(found[:, 0]) == {-3, -2, -1, 0}
        assert set(found[:, 1]) == {0}
        assert set(found[:, 2]) <= {0, 1, 2}


def test_a_foreground_patch_always_holds_a_voxel_of_a_structure() -> None:
    structures: Spots = {1: np.array([[0, 0, 0]], dtype=np.int32), 2: np.array([[19, 19, 19]], dtype=np.int32)}
    found = starts((20, 20, 20), (6, 5, 1), structures=structures, foreground=1.0, n=1000)
    near = (found == 0).all(1)
    far = (found == [14, 15, 19]).all(1)
    assert (near | far).all()
    assert abs(near.sum() - 500) < 5 * np.sqrt(250)  # each structure equally often


def test_away_from_the_edges_the_voxel_lies_in_the_middle_half() -> None:
    spot = np.array([[50, 50, 50]], dtype=np.int32)
    found = starts((100, 100, 100), (8, 12, 1), structures={1: spot}, foreground=1.0)
    assert set((50 - found)[:, 0]) == set(range(2, 6))
    assert set((50 - found)[:, 1]) == set(range(3, 9))
    assert set((50 - found)[:, 2]) == {0}


@pytest.mark.parametrize("share", [0.0, 0.33, 1.0])
def test_the_share_of_foreground_patches_is_what_was_asked(share: float) -> None:
    corner = np.array([[0, 0, 0]], dtype=np.int32)  # chance alone hits it with probability 1 / 95**3
    found = starts((100, 100, 100), (6, 6, 6), structures={1: corner}, foreground=share, n=2000)
    hits = int((found == 0).all(1).sum())
    assert abs(hits - 2000 * share) <= 5 * np.sqrt(2000 * share * (1 - share))


# --------------------------------------------------------------------------------------------- structures
def test_all_voxels_of_a_small_structure_are_known() -> None:
    target = np.zeros((1, 4, 4, 4), dtype=np.int16)
    target[0, 1, 2, 3] = target[0, 3, 0, 1] = 2
    target[0, 0, 0, 0] = IGNORE
    found = structure_voxels(target, [1, 2], exclusive=True)
    assert {index: spots.tolist() for index, spots in found.items()} == {2: [[1, 2, 3], [3, 0, 1]]}


def test_regions_have_a_channel_each() -> None:
    target = np.zeros((2, 3, 3, 1), dtype=np.int16)
    target[0] = 1
    target[1, 2, 2, 0] = 1
    found = structure_voxels(target, [0, 1], exclusive=False)
    assert len(found[0]) == 9
    assert found[1].tolist() == [[2, 2, 0]]


@pytest.mark.parametrize("length", [MAX_VOXELS_KEPT, MAX_VOXELS_KEPT + 1, 2 * MAX_VOXELS_KEPT - 1, 50000])
def test_the_voxels_kept_of_a_large_structure_cover_all_of_it(length: int) -> None:
    target = np.ones((1, length, 1, 1), dtype=np.int16)
    kept = structure_voxels(target, [1], exclusive=True)[1][:, 0]
    assert len(kept) == MAX_VOXELS_KEPT
    assert (kept[0], kept[-1]) == (0, length - 1)
    assert np.diff(kept).max() <= -(-length // MAX_VOXELS_KEPT) + 1


# ---------------------------------------------------------------------------------------------------- cut
@pytest.mark.parametrize("start", [(0, 0, 0), (1, 2, 0), (-1, 3, -2), (2, -3, 1)])
def test_a_patch_is_the_image_where_there_is_one_and_fill_elsewhere(start: tuple[int, int, int]) -> None:
    array = np.arange(2 * 4 * 5 * 3, dtype=np.int16).reshape(2, 4, 5, 3)
    size = (3, 4, 5)
    patch = cut(array, start, size, fill=IGNORE)
    assert patch.dtype == array.dtype
    for place in np.ndindex(2, *size):
        position = tuple(np.add(place[1:], start))
        inside = all(0 <= p < n for p, n in zip(position, array.shape[1:], strict=True))
        assert patch[place] == (array[(place[0], *position)] if inside else IGNORE)


def test_a_patch_is_a_copy() -> None:
    array = np.zeros((1, 4, 4, 4), dtype=np.float32)
    cut(array, (0, 0, 0), (4, 4, 4), fill=0.0)[:] = 1
    assert not array.any()
