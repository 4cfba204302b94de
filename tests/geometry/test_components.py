"""Components and holes, against floods that go from voxel to voxel."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hilum.geometry import components as module
from hilum.geometry.components import components, components_from, filled, largest_component, voxels_of

Mask = npt.NDArray[np.bool_]
MASKS = st.one_of(
    arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 6))),
    arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))),
)


def flooded(mask: Mask, start: tuple[int, ...], *, corners: bool) -> set[tuple[int, ...]]:
    """Every voxel that a path of true neighbours leads to."""
    steps = [step for step in itertools.product((-1, 0, 1), repeat=mask.ndim) if any(step)]
    steps = steps if corners else [step for step in steps if sum(map(abs, step)) == 1]
    found, edge = {start}, [start]
    while edge:
        place = edge.pop()
        for step in steps:
            near = tuple(a + b for a, b in zip(place, step, strict=True))
            inside = all(0 <= index < size for index, size in zip(near, mask.shape, strict=True))
            if inside and mask[near] and near not in found:
                found.add(near)
                edge.append(near)
    return found


def brute_components(mask: Mask) -> list[set[tuple[int, ...]]]:
    """The components in the order of their first voxels."""
    found: list[set[tuple[int, ...]]] = []
    for place in map(tuple, np.argwhere(mask).tolist()):
        if not any(place in component for component in found):
            found.append(flooded(mask, place, corners=True))
    return found


def as_mask(places: set[tuple[int, ...]], shape: tuple[int, ...]) -> Mask:
    mask = np.zeros(shape, dtype=bool)
    for place in places:
        mask[place] = True
    return mask


@given(MASKS)
def test_components_are_those_of_a_flood(mask: Mask) -> None:
    expected = brute_components(mask)
    numbers, sizes = components(mask)
    assert sizes.tolist() == [len(component) for component in expected]
    for number, component in enumerate(expected, start=1):
        assert np.array_equal(numbers == number, as_mask(component, mask.shape))
    largest = max(expected, key=len, default=set())  # the first of equals
    assert np.array_equal(largest_component(mask), as_mask(largest, mask.shape))


@given(MASKS, st.integers(1, 9))
def test_components_from_a_size_on(mask: Mask, fewest: int) -> None:
    kept = set().union(*(component for component in brute_components(mask) if len(component) >= fewest))
    assert np.array_equal(components_from(mask, fewest), as_mask(kept, mask.shape))


@given(MASKS)
def test_holes_are_what_a_flood_from_outside_does_not_reach(mask: Mask) -> None:
    outside = np.pad(~mask, 1, constant_values=True)
    reached = as_mask(flooded(outside, (0,) * mask.ndim, corners=False), outside.shape)
    assert np.array_equal(filled(mask), ~reached[(slice(1, -1),) * mask.ndim])


@pytest.mark.parametrize("shape", [(0, 3), (4, 0, 2)])
def test_nothing_has_no_components(shape: tuple[int, ...]) -> None:
    numbers, sizes = components(np.zeros(shape, dtype=bool))
    assert (numbers.shape, len(sizes)) == (shape, 0)


@pytest.mark.parametrize("part_voxels", [1, 7, 1000])
def test_large_masks_are_looked_at_in_parts(part_voxels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.random.default_rng(3).integers(0, 5, (7, 6, 5))
    expected = np.isin(labels, [1, 4])
    numbers, sizes = components(expected)
    monkeypatch.setattr(module, "PART_VOXELS", part_voxels)
    assert np.array_equal(voxels_of(labels, [1, 4]), expected)
    assert components(expected)[1].tolist() == sizes.tolist() == np.bincount(numbers.ravel())[1:].tolist()
    assert not voxels_of(labels[:0], [1]).size
