"""Grids keep the world in place, whatever is done to their voxels."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from hilum.errors import DataError
from hilum.volume import Grid, Volume

TURNED = np.eye(4)
TURNED[:3, :3] = Rotation.from_euler("xyz", (20, -10, 15), degrees=True).as_matrix() @ np.array(
    [[0.0, -0.8, 0.0], [0.0, 0.0, 0.8], [-3.0, 0.0, 0.0]]
)
TURNED[:3, 3] = (12.5, -40.0, 7.0)


def corners(grid: Grid) -> np.ndarray:
    """World positions of the eight outer corners of the field of view."""
    index = np.stack(np.meshgrid(*[(-0.5, size - 0.5) for size in grid.shape], indexing="ij"), -1).reshape(-1, 3)
    return index @ grid.affine[:3, :3].T + grid.affine[:3, 3]


def test_spacing_and_extent_are_lengths_in_the_world() -> None:
    grid = Grid((10, 20, 30), TURNED)
    assert grid.spacing == pytest.approx((3.0, 0.8, 0.8))
    assert grid.extent == pytest.approx((30.0, 16.0, 24.0))


def test_orientation_names_where_each_axis_points() -> None:
    assert Grid((2, 2, 2), np.eye(4)).orientation == ("R", "A", "S")
    assert Grid((2, 2, 2), TURNED).orientation == ("I", "L", "A")


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (6.0, 1.6, 0.4), (3.0, 0.8, 0.8)])
def test_respaced_keeps_the_field_of_view_where_it_divides(spacing: tuple[float, float, float]) -> None:
    grid = Grid((10, 20, 30), TURNED)
    fine = grid.respaced(spacing)
    assert fine.spacing == pytest.approx(spacing)
    assert fine.shape == tuple(round(length / step) for length, step in zip(grid.extent, spacing, strict=True))
    np.testing.assert_allclose(corners(fine), corners(grid), atol=1e-9)


def test_respaced_rounds_the_size_and_keeps_the_first_corner() -> None:
    grid = Grid((5, 7, 9), np.eye(4)).respaced((2.0, None, 100.0))
    assert grid.shape == (2, 7, 1)
    np.testing.assert_allclose(corners(grid)[0], (-0.5, -0.5, -0.5))
    assert grid.spacing == pytest.approx((2.0, 1.0, 100.0))


def test_resized_keeps_every_corner() -> None:
    grid = Grid((10, 20, 30), TURNED)
    assert grid.resized((7, 33, 2)).shape == (7, 33, 2)
    np.testing.assert_allclose(corners(grid.resized((7, 33, 2))), corners(grid), atol=1e-9)


def test_cropped_voxels_stay_in_place_even_outside() -> None:
    grid = Grid((10, 20, 30), TURNED)
    part = grid.cropped((2, -3, 4), (5, 25, 6))
    assert part.shape == (3, 28, 2)
    np.testing.assert_allclose(part.affine @ (1, 5, 0, 1), grid.affine @ (3, 2, 4, 1), atol=1e-9)


def test_grids_are_equal_by_value() -> None:
    grid = Grid((10, 20, 30), TURNED)
    assert grid == Grid((10, 20, 30), TURNED.copy())
    assert hash(grid) == hash(Grid((10, 20, 30), TURNED.copy()))
    assert grid != Grid((10, 20, 31), TURNED)
    assert grid != Grid((10, 20, 30), TURNED, "pixel")
    assert grid != Grid((10, 20, 30), TURNED + 1e-9)


def test_matches_forgives_the_rounding_of_headers_and_nothing_more() -> None:
    grid = Grid((256, 256, 160), TURNED)
    assert grid.matches(Grid(grid.shape, TURNED.astype(np.float32)))
    assert not grid.matches(grid.cropped((1, 0, 0), (257, 256, 160)))
    assert not grid.matches(Grid((256, 256, 161), TURNED))
    assert not grid.matches(grid.respaced((3.0, 0.8, 0.8001)))


def test_a_grid_cannot_be_changed() -> None:
    affine = np.eye(4)
    grid = Grid((2, 2, 2), affine)
    affine[0, 0] = 5
    assert grid.spacing == pytest.approx((1, 1, 1))
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 2


@pytest.mark.parametrize(
    ("shape", "affine", "message"),
    [
        ((2, 2), np.eye(4), "three sizes"),
        ((2, 0, 2), np.eye(4), "three sizes"),
        ((2, 2, 2), np.eye(3), "4 x 4"),
        ((2, 2, 2), np.diag([1, np.nan, 1, 1]), "finite"),
        ((2, 2, 2), np.diag([1, 0, 1, 1]), "determinant 0"),
    ],
)
def test_impossible_grids_are_refused(shape: tuple[int, ...], affine: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Grid(shape, affine)  # type: ignore[arg-type]


@pytest.mark.parametrize("spacing", [(1.0, 0.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0)])
def test_impossible_spacings_are_refused(spacing: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="three positive numbers"):
        Grid((2, 2, 2), np.eye(4)).respaced(spacing)


@pytest.mark.parametrize("shape", [(4, 4, 4), (1, 4, 4, 5)])
def test_a_volume_must_fit_its_grid(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="do not fit a grid"):
        Volume(torch.zeros(shape), Grid((4, 4, 4), np.eye(4)))
