"""Whatever its orientation, a label comes back to the grid it was painted on."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hilum.volume import Grid, Volume, resample

FIELD_MM = 48.0
PERMUTATIONS = st.permutations(range(3))
SIGNS = st.tuples(*[st.sampled_from((-1, 1))] * 3)
ANGLES = st.tuples(*[st.floats(-40, 40)] * 3)
ORIGINS = st.tuples(*[st.floats(-200, 200)] * 3)


@st.composite
def oblique_grids(draw: st.DrawFn) -> Grid:
    """A field of 48 mm in voxels of 3 x 0.8 x 0.8 mm, turned, flipped and with permuted axes."""
    spacing = np.array((3.0, 0.8, 0.8))[draw(PERMUTATIONS)]
    columns = np.eye(3)[:, draw(PERMUTATIONS)] * draw(SIGNS)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", draw(ANGLES), degrees=True).as_matrix() @ columns * spacing
    affine[:3, 3] = draw(ORIGINS)
    i, j, k = (round(FIELD_MM / step) for step in spacing)
    return Grid((i, j, k), affine)


def painted(grid: Grid, centre: np.ndarray, radii: tuple[float, ...]) -> Volume:
    """An ellipsoid given in world millimetres."""
    index = np.indices(grid.shape).reshape(3, -1)
    offsets = grid.affine[:3, :3] @ index + grid.affine[:3, 3:] - centre[:, None]
    inside = ((offsets / np.array(radii)[:, None]) ** 2).sum(0) <= 1
    return Volume(torch.from_numpy(inside.reshape(1, *grid.shape)).to(torch.int16), grid)


def middle(grid: Grid) -> np.ndarray:
    return np.asarray((grid.affine @ (*((np.array(grid.shape) - 1) / 2), 1))[:3])


def dice(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


def back(volume: Volume, grid: Grid) -> torch.Tensor:
    """What the predictor does: probabilities onto the source grid, then a decision."""
    return resample(Volume(volume.tensor.float(), volume.grid), grid, antialias=False).tensor > 0.5


RADII = st.tuples(*[st.floats(13, 20)] * 3)
LOWEST_DICE = {1.0: 0.99, 1.5: 0.98, 2.0: 0.96}


@settings(max_examples=25)
@given(grid=oblique_grids(), radii=RADII)
def test_probabilities_come_back_from_a_canonical_grid(grid: Grid, radii: tuple[float, ...]) -> None:
    label = painted(grid, middle(grid), radii)
    truth = label.tensor > 0
    for spacing_mm, lowest in LOWEST_DICE.items():
        target = grid.canonical().respaced([spacing_mm] * 3)
        there = resample(Volume(label.tensor.float(), grid), target, antialias=False)
        assert dice(back(there, grid), truth) >= lowest


@settings(max_examples=25)
@given(grid=oblique_grids(), radii=RADII)
def test_probabilities_come_back_from_a_grid_along_the_world(grid: Grid, radii: tuple[float, ...]) -> None:
    label = painted(grid, middle(grid), radii)
    affine = np.eye(4)
    affine[:3, 3] = middle(grid) - 44.5
    there = resample(Volume(label.tensor.float(), grid), Grid((90, 90, 90), affine))
    assert dice(back(there, grid), label.tensor > 0) >= 0.99


@settings(max_examples=25)
@given(grid=oblique_grids(), radii=RADII)
def test_what_is_painted_on_a_canonical_grid_lands_where_it_is_in_the_world(
    grid: Grid, radii: tuple[float, ...]
) -> None:
    centre = middle(grid) + np.array((0.3, -0.2, 0.1))
    landed = back(painted(grid.canonical().respaced([1.0] * 3), centre, radii), grid)
    place = grid.affine[:3, :3] @ landed[0].nonzero().numpy().mean(0) + grid.affine[:3, 3]
    np.testing.assert_allclose(place, centre, atol=0.15)


@settings(max_examples=25)
@given(grid=oblique_grids())
def test_canonical_and_back_is_exact(grid: Grid) -> None:
    volume = Volume(torch.randn(1, *grid.shape), grid)
    there = resample(volume, grid.canonical())
    assert there.grid.orientation == ("R", "A", "S")
    assert torch.equal(resample(there, grid).tensor, volume.tensor)
