"""Resampling against closed forms: exact copies, linear functions, fields of view."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from hilum import interpolation
from hilum.errors import DataError
from hilum.volume import Grid, Volume, resample

AFFINE = np.eye(4)
AFFINE[:3, :3] = Rotation.from_euler("xyz", (25, 10, -30), degrees=True).as_matrix() @ np.diag((3.0, 0.8, 0.8))
AFFINE[:3, 3] = (5.0, -20.0, 11.0)
GRID = Grid((9, 21, 17), AFFINE)


def world(grid: Grid) -> np.ndarray:
    """World positions (3, I, J, K) of all voxels."""
    index = np.indices(grid.shape).reshape(3, -1)
    return (grid.affine[:3, :3] @ index + grid.affine[:3, 3:]).reshape(3, *grid.shape)


def ramp(grid: Grid) -> Volume:
    """Two channels, linear in the world."""
    x, y, z = world(grid)
    return Volume(torch.from_numpy(np.stack([x + 2 * y - z, 0.5 * z - x])).float(), grid)


@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_the_same_grid_changes_nothing(mode: str) -> None:
    volume = ramp(GRID)
    result = resample(volume, Grid(GRID.shape, AFFINE.astype(np.float32)), mode)  # type: ignore[arg-type]
    assert torch.equal(result.tensor, volume.tensor)


@pytest.mark.parametrize("mode", ["linear", "nearest"])
@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0), (1, 0, 2)])
@pytest.mark.parametrize("flipped", [(), (0,), (1, 2)])
def test_permuting_flipping_and_cropping_copy_exactly(
    mode: str, axes: tuple[int, ...], flipped: tuple[int, ...]
) -> None:
    volume = Volume(torch.randn(2, *GRID.shape), GRID)
    affine, expected = AFFINE.copy(), volume.tensor
    for axis in flipped:
        affine[:3, 3] += affine[:3, axis] * (GRID.shape[axis] - 1)
        affine[:3, axis] *= -1
        expected = expected.flip(axis + 1)
    expected = expected.permute(0, *(axis + 1 for axis in axes))
    affine[:3, :3] = affine[:3, list(axes)]
    grid = Grid(tuple(expected.shape[1:]), affine).cropped((1, 2, 3), (6, 7, 8))  # type: ignore[arg-type]
    assert torch.equal(resample(volume, grid, mode).tensor, expected[:, 1:6, 2:7, 3:8])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "target",
    [
        GRID.respaced((1.0, 1.0, 1.0)),
        GRID.canonical().respaced((2.0, 0.5, 3.0)),
        Grid((12, 9, 6), np.array([[0, 1.1, 0, 14], [-0.9, 0, 0, -17], [0, 0, 1.3, 15], [0, 0, 0, 1]])),
    ],
    ids=["finer", "canonical", "oblique"],
)
def test_a_linear_function_of_the_world_stays_itself(target: Grid) -> None:
    result = resample(ramp(GRID), target, antialias=False).tensor
    index = np.linalg.solve(GRID.affine[:3, :3], (world(target).reshape(3, -1) - GRID.affine[:3, 3:]))
    inside = torch.from_numpy((index >= 0).all(0) & (index <= np.array(GRID.shape)[:, None] - 1).all(0))
    assert inside.sum() > 100
    expected = ramp(target).tensor.flatten(1)[:, inside]
    torch.testing.assert_close(result.flatten(1)[:, inside], expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize("turn", [0.0, 0.3], ids=["aligned", "oblique"])
@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_outside_the_field_of_view_is_border_or_the_given_value(turn: float, mode: str) -> None:
    source = Volume(torch.full((1, 8, 8, 8), 3.0), Grid((8, 8, 8), np.eye(4)))
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_rotvec((0, 0, turn)).as_matrix()
    affine[:3, 3] = (-2.3, 0.4, 0.4)
    grid = Grid((16, 9, 9), affine)
    inside = (np.abs(world(grid) - 3.5) <= 4).all(0)
    padded = resample(source, grid, mode, outside=-7.0).tensor[0].numpy()  # type: ignore[arg-type]
    np.testing.assert_allclose(padded, np.where(inside, 3.0, -7.0), atol=1e-5)
    extended = resample(source, grid, mode).tensor  # type: ignore[arg-type]
    torch.testing.assert_close(extended, torch.full_like(extended, 3.0))


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.uint8, torch.int64])
@pytest.mark.parametrize("turned", [False, True])
def test_nearest_keeps_integers_to_the_last_digit(dtype: torch.dtype, turned: bool) -> None:
    largest = torch.iinfo(dtype).max
    volume = Volume(torch.full((1, *GRID.shape), largest, dtype=dtype), GRID)
    target = Grid((5, 6, 7), np.diag((1, 1, 1, 1))) if turned else GRID.respaced((1, 1, 1))
    result = resample(volume, target, "nearest").tensor
    assert result.dtype == dtype
    assert (result == largest).all()


def test_nearest_takes_the_lower_of_two_equally_near() -> None:
    source = Volume(torch.arange(8).view(1, 8, 1, 1), Grid((8, 1, 1), np.diag((0.1, 1, 1, 1))))
    assert resample(source, source.grid.respaced((0.2, 1, 1)), "nearest").tensor.flatten().tolist() == [0, 2, 4, 6]


def test_linear_turns_integers_into_numbers() -> None:
    source = Volume(torch.tensor([0, 10], dtype=torch.int16).view(1, 2, 1, 1), Grid((2, 1, 1), np.eye(4)))
    grid = Grid((3, 1, 1), np.diag((0.5, 1, 1, 1)))
    assert resample(source, grid).tensor.flatten().tolist() == [0, 5, 10]


def test_antialiasing_removes_what_the_coarser_grid_cannot_show_and_keeps_the_mean() -> None:
    stripes = torch.zeros(1, 64, 4, 4)
    stripes[:, ::2] = 1.0
    source = Volume(stripes, Grid((64, 4, 4), np.eye(4)))
    coarse = source.grid.respaced((4.0, 1, 1)).cropped((2, 0, 0), (14, 4, 4))
    smooth = resample(source, coarse).tensor
    torch.testing.assert_close(smooth, torch.full_like(smooth, 0.5), atol=1e-3, rtol=0)
    shifted = Grid(coarse.shape, coarse.affine + np.array([[0, 0, 0, 0.5], [0] * 4, [0] * 4, [0] * 4]))
    aliased = resample(source, shifted, antialias=False).tensor
    assert (aliased - 0.5).abs().min() > 0.4


def test_the_source_is_left_as_it_was() -> None:
    volume = ramp(GRID)
    before = volume.tensor.clone()
    resample(volume, GRID.canonical().respaced((2, 2, 2)), outside=0.0)
    resample(volume, Grid((5, 5, 5), np.eye(4)), outside=0.0)
    assert torch.equal(volume.tensor, before)


def test_slabs_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    volume, target = ramp(GRID), Grid((12, 9, 6), np.diag((1.0, 1.1, 1.2, 1.0)))
    whole = {mode: resample(volume, target, mode).tensor for mode in ("linear", "nearest")}
    monkeypatch.setattr("hilum.interpolation.SLAB_POINTS", 100)
    for mode, expected in whole.items():
        assert torch.equal(resample(volume, target, mode).tensor, expected)  # type: ignore[arg-type]


def test_pixels_and_millimetres_do_not_mix() -> None:
    with pytest.raises(DataError, match="a volume in mm onto a grid in pixel"):
        resample(ramp(GRID), Grid((4, 4, 4), np.eye(4), "pixel"))


@pytest.mark.parametrize("spacing", [(5.0, 1.7, 1.1), (1.0, 0.5, 2.0)])
def test_large_volumes_are_resampled_in_parts_to_the_same_bits(
    spacing: tuple[float, float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = Volume(torch.rand(2, *GRID.shape, generator=torch.manual_seed(1)), GRID)
    at_once = resample(volume, GRID.respaced(spacing)).tensor
    monkeypatch.setattr(interpolation, "PART_NUMBERS", 100)
    assert torch.equal(resample(volume, GRID.respaced(spacing)).tensor, at_once)
