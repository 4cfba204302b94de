"""Outlines of masks: filled again, they give the mask; they are as long as its edges; touching pixels stay apart."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from hilum.report.page.outlines import outline

Loop = list[tuple[int, int]]


def loops(path: str) -> list[Loop]:
    found = [piece for piece in path.split("M") if piece]
    return [[(int(x), int(y)) for x, y in re.findall(r"(\d+) (\d+)", piece)] for piece in found]


def filled(path: str, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Even-odd filling: a pixel is inside where a ray to the left crosses the outline an odd number of times."""
    inside = np.zeros(shape, dtype=bool)
    for loop in loops(path):
        for (x, y), (other_x, other_y) in zip(loop, loop[1:] + loop[:1], strict=True):
            assert (x == other_x) != (y == other_y), "an outline runs along the edges of pixels"
            if x == other_x:
                inside[min(y, other_y) : max(y, other_y), x:] ^= True
    return inside


def length(path: str) -> int:
    return sum(
        abs(x - other_x) + abs(y - other_y)
        for loop in loops(path)
        for (x, y), (other_x, other_y) in zip(loop, loop[1:] + loop[:1], strict=True)
    )


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.booleans()))
def test_a_filled_outline_is_the_mask(mask: npt.NDArray[np.bool_]) -> None:
    path = outline(mask)
    assert np.array_equal(filled(path, mask.shape), mask)
    around = np.pad(mask, 1)
    assert length(path) == sum(int((np.diff(around.astype(int), axis=axis) != 0).sum()) for axis in (0, 1))


def test_pixels_that_touch_at_a_corner_have_an_outline_each() -> None:
    assert len(loops(outline(np.eye(3, dtype=bool)))) == 3


def test_a_hole_has_its_own_outline_and_straight_edges_have_two_corners() -> None:
    mask = np.ones((5, 7), dtype=bool)
    assert loops(outline(mask)) == [[(0, 0), (7, 0), (7, 5), (0, 5)]]
    mask[1:3, 1:3] = False
    assert sorted(len(loop) for loop in loops(outline(mask))) == [4, 4]
    assert outline(np.zeros((4, 4), dtype=bool)) == ""
