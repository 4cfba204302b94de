"""Centrelines: what thinning must keep, counted another way, and lines that are known."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from hilum.geometry.skeleton import skeleton

Mask = npt.NDArray[np.bool_]
CORNERS = np.ones((3, 3, 3), dtype=bool)
MASKS = st.one_of(
    arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 5))),
    arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(1))),
)


def euler_characteristic(mask: Mask) -> int:
    """Vertices - edges + faces - voxels of the union of closed cubes: components - tunnels + cavities."""
    cells = set()
    for voxel in np.argwhere(mask) * 2 + 1:
        cells |= {tuple(voxel + step) for step in itertools.product((-1, 0, 1), repeat=3)}
    return sum((-1) ** sum(coordinate % 2 for coordinate in cell) for cell in cells)


def counted(mask: Mask) -> tuple[int, int, int]:
    """Components, components of the outside (one more than cavities), and the Euler characteristic."""
    outside = np.pad(~mask, 1, constant_values=True)
    return ndimage.label(mask, CORNERS)[1], ndimage.label(outside)[1], euler_characteristic(mask)


@settings(max_examples=100)
@given(MASKS)
def test_components_cavities_and_tunnels_stay(mask: Mask) -> None:
    thin = skeleton(mask)
    assert not (thin & ~mask).any()
    assert counted(thin) == counted(mask)


@settings(max_examples=40)
@given(MASKS)
def test_a_skeleton_is_its_own(mask: Mask) -> None:
    thin = skeleton(mask)
    np.testing.assert_array_equal(skeleton(thin), thin)


@pytest.mark.parametrize("shape", [(2, 2, 20), (4, 4, 4), (6, 6, 6), (2, 2, 2), (6, 6, 1), (1, 1, 1)])
def test_boxes_of_even_thickness_keep_a_line(shape: tuple[int, int, int]) -> None:
    thin = skeleton(np.ones(shape, dtype=bool))
    assert 1 <= thin.sum() <= max(shape)
    assert ndimage.label(thin, CORNERS)[1] == 1


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_line_of_a_tube_lies_in_its_middle(axis: int) -> None:
    across = np.hypot(*np.meshgrid(np.arange(-4, 5), np.arange(-4, 5), indexing="ij")) <= 3
    tube = np.moveaxis(np.repeat(across[:, :, None], 30, axis=2), 2, axis)
    line = np.moveaxis(skeleton(tube), axis, 2)
    assert line[4, 4, 4:-4].all()
    assert line[:, :, 4:-4].sum() == 22


def test_a_ring_in_an_image_becomes_a_closed_line() -> None:
    radius = np.hypot(*np.meshgrid(np.arange(-12, 13), np.arange(-12, 13), indexing="ij"))
    line = skeleton(((radius > 6) & (radius < 11))[..., None])
    assert ndimage.label(~line[..., 0])[1] == 2
    neighbours = ndimage.convolve(line.astype(int), CORNERS.astype(int), mode="constant")[line] - 1
    assert neighbours.min() == 2
    assert (radius[line[..., 0]] > 7).all()


def test_a_line_a_voxel_thick_stays_and_nothing_has_none() -> None:
    line = np.zeros((9, 9, 9), dtype=bool)
    for step in range(1, 8):
        line[step, step, 4] = True
    np.testing.assert_array_equal(skeleton(line), line)
    assert not skeleton(np.zeros((3, 4, 5), dtype=bool)).any()
