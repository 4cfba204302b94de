"""flip, affine and elastic against torch.flip, torch.rot90, closed forms and SciPy."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.interpolate import BSpline
from scipy.ndimage import map_coordinates
from torch.nn.functional import grid_sample

from hilum.augment.affine import AffineConfig, backward_matrix, moved
from hilum.augment.augmenter import Augmenter
from hilum.augment.base import Frame
from hilum.augment.elastic import ElasticConfig
from hilum.augment.flip import FlipConfig
from hilum.augment.sampling import lattice_of, linear_at, nearest_at
from hilum.augment.splines import spread
from hilum.volume import Grid


def warped(image: torch.Tensor, matrix: np.ndarray, spacing: tuple[float, ...], mode: str = "bilinear") -> torch.Tensor:
    """One image (*spatial) under one backward matrix."""
    axes = [(torch.arange(size) - (size - 1) / 2) * step for size, step in zip(image.shape, spacing, strict=True)]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]
    dims = image.ndim
    points = moved(points, torch.from_numpy(matrix).float()[None], torch.zeros(1, dims))
    extent = torch.tensor([[size * step for size, step in zip(image.shape, spacing, strict=True)]])
    lattice = lattice_of(points, extent)
    sampled = linear_at if mode == "bilinear" else nearest_at
    return sampled(image[None, None], lattice)[0, 0]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flip_is_torch_flip(axis: int, make_batch: Any) -> None:
    batch, frame = make_batch((9, 8, 7), channels=2)
    result = Augmenter([FlipConfig(axes=(frame.axes[axis],), probability=1.0)], 1)(batch, frame)
    assert torch.equal(result.images, batch.images.flip(axis + 2))
    assert torch.equal(result.targets, batch.targets.flip(axis + 1))


def test_flip_of_several_axes_draws_every_combination_but_none(make_batch: Any) -> None:
    _, frame = make_batch((9, 8, 7))
    step = FlipConfig(axes=("left_right", "inferior_superior"))
    drawn = [tuple(step.draw(np.random.default_rng(seed), frame)["mirrored"].tolist()) for seed in range(300)]
    counts = {combination: drawn.count(combination) for combination in set(drawn)}
    assert set(counts) == {(True, False, False), (False, False, True), (True, False, True)}
    assert min(counts.values()) > 60


def test_flip_mirrors_a_share_of_the_samples(make_batch: Any) -> None:
    batch, frame = make_batch((5, 5), size=1000)
    result = Augmenter([FlipConfig(axes=("vertical",))], 1)(batch, frame)
    mirrored = (result.images == batch.images.flip(2)).flatten(1).all(1).float().mean()
    assert mirrored == pytest.approx(0.5, abs=0.06)


def test_axes_must_be_named() -> None:
    with pytest.raises(ValidationError, match="required"):
        FlipConfig.model_validate({})


@pytest.mark.parametrize(("first", "second", "plane"), [(1, 2, 0), (0, 2, 1), (0, 1, 2)])
def test_a_quarter_turn_is_rot90(first: int, second: int, plane: int) -> None:
    image = torch.randn(9, 9, 9)
    angles = [0.0, 0.0, 0.0]
    angles[plane] = math.pi / 2
    turned = warped(image, backward_matrix(angles, 1.0, []), (1.5, 1.5, 1.5))
    torch.testing.assert_close(turned, torch.rot90(image, 1, (first, second)), atol=1e-4, rtol=0)


def test_a_quarter_turn_in_2d_is_rot90() -> None:
    image = torch.randn(28, 28)
    turned = warped(image, backward_matrix([math.pi / 2], 1.0, []), (1.0, 1.0))
    torch.testing.assert_close(turned, torch.rot90(image), atol=1e-4, rtol=0)


def test_rotation_is_rigid_in_mm_on_anisotropic_voxels() -> None:
    """On voxels of 1 x 1 x 3 mm a blob that is long along the first axis becomes equally long along the third."""
    spacing = (1.0, 1.0, 3.0)
    x, _, z = np.meshgrid(
        *[(np.arange(n) - (n - 1) / 2) * s for n, s in zip((40, 40, 14), spacing, strict=True)], indexing="ij"
    )
    smooth = np.exp(-(x**2) / (2 * 8.0**2) - z**2 / (2 * 3.0**2))
    swapped = np.exp(-(z**2) / (2 * 8.0**2) - x**2 / (2 * 3.0**2))
    quarter = backward_matrix([0.0, math.pi / 2, 0.0], 1.0, [])
    ours = warped(torch.from_numpy(smooth).float(), quarter, spacing).numpy()
    inside = (np.abs(x) < 18) & (np.abs(z) < 18)
    assert np.abs(ours - swapped)[inside].max() < 0.12  # linear interpolation of 3 mm slices
    assert np.abs(ours - smooth)[inside].max() > 0.5


@pytest.mark.parametrize("factor", [0.5, 1.7])
def test_scale_above_1_makes_things_larger(factor: float) -> None:
    distance = torch.arange(41.0) - 20
    image = torch.exp(-(distance[:, None] ** 2 + distance**2) / (2 * 4.0**2))
    area = warped(image, backward_matrix([0.0], factor, []), (0.7, 0.7)).sum() / image.sum()
    assert float(area) == pytest.approx(factor**2, rel=0.02)


def test_shear_moves_rows_sideways() -> None:
    matrix = backward_matrix([0.0], 1.0, [0.25, 0.0])
    np.testing.assert_allclose(matrix, np.array([[1, 0.25], [0, 1]], dtype=np.float64))


def test_shift_is_a_share_of_the_extent_and_moves_by_whole_voxels() -> None:
    frame = Frame((8, 10), (2.0, 0.5), ("vertical", "horizontal"))
    drawn = [AffineConfig(translate=0.25).draw(np.random.default_rng(seed), frame)["shift"] for seed in range(400)]
    largest = np.abs(np.stack(drawn)).max(0)
    np.testing.assert_allclose(largest, (4.0, 1.25), rtol=0.03)
    assert (largest <= (4.0, 1.25)).all()


def test_affine_draws_stay_within_what_was_asked() -> None:
    frame = Frame((8, 8, 8), (1.0,) * 3, ("i", "j", "k"))
    step = AffineConfig(rotate_degrees=15, scale=(0.8, 1.25), translate=0)
    matrices = np.stack([step.draw(np.random.default_rng(seed), frame)["matrix"] for seed in range(300)]).astype(float)
    sizes = 1 / np.cbrt(np.linalg.det(matrices))
    assert sizes.min() == pytest.approx(0.8, abs=0.02)
    assert sizes.max() == pytest.approx(1.25, abs=0.03)
    turns = matrices * sizes[:, None, None]
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(3), turns.shape), atol=1e-5)
    angles = np.degrees(np.arccos((np.trace(turns, axis1=1, axis2=2) - 1) / 2))
    assert 15 < angles.max() < 15 * math.sqrt(3) + 1


def test_values_at_points_are_those_of_scipy() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=(7, 9, 8)).astype(np.float32)
    spacing = np.array((1.0, 2.0, 3.0))
    index = rng.uniform(-2, 10, (3, 5, 5, 5))
    points = (index - (np.array(values.shape) - 1).reshape(3, 1, 1, 1) / 2) * spacing.reshape(3, 1, 1, 1)
    extent = torch.from_numpy(np.array(values.shape) * spacing).float()[None]
    lattice = lattice_of(torch.from_numpy(points).float()[None], extent)
    ours = linear_at(torch.from_numpy(values)[None, None], lattice)
    expected = map_coordinates(values, index, order=1, mode="nearest")
    np.testing.assert_allclose(ours[0, 0], expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(7, 9, 8), (13, 5), (1, 6)])
def test_nearest_values_are_those_of_grid_sample(shape: tuple[int, ...]) -> None:
    """Far outside, at centres and halfway between them too."""
    generator = torch.Generator().manual_seed(6)
    values = torch.randint(-1, 50, (3, 2, *shape), generator=generator)
    lattice = torch.rand(3, *shape, len(shape), generator=generator) * 3 - 1.5
    halves = torch.tensor([2 / size for size in reversed(shape)])
    lattice[1] = (torch.randint(0, 30, lattice.shape[1:], generator=generator) * halves / 2) - 1
    expected = grid_sample(values.float(), lattice, mode="nearest", padding_mode="border", align_corners=False)
    assert torch.equal(nearest_at(values, lattice), expected.long())


def test_spread_is_scipys_cubic_b_spline() -> None:
    coefficients = np.random.default_rng(1).normal(size=(1, 7)).astype(np.float32)
    place = (np.arange(30) + 0.5) / 30 * 4
    expected = BSpline(np.arange(-3, 8).astype(float), coefficients[0].astype(float), 3)(place)
    np.testing.assert_allclose(spread(torch.from_numpy(coefficients), (30,))[0], expected, atol=1e-5)
    plane = np.random.default_rng(1).normal(size=(2, 5, 7)).astype(np.float32)
    both = spread(torch.from_numpy(plane), (11, 30)).numpy()
    row = spread(torch.from_numpy(plane[:, 2]), (30,)).numpy()
    assert both.shape == (2, 11, 30)
    constant = spread(torch.full((1, 5, 7), 2.5), (11, 30))
    torch.testing.assert_close(constant, torch.full((1, 11, 30), 2.5))
    assert np.abs(row).max() <= np.abs(plane[:, 2]).max()


def test_elastic_moves_by_mm_and_never_folds() -> None:
    frame = Frame((32, 24, 12), (1.0, 1.0, 3.0), ("i", "j", "k"))
    step = ElasticConfig(intervals=4, magnitude=0.4)
    axes = [(torch.arange(n) - (n - 1) / 2) * s for n, s in zip(frame.shape, frame.spacing, strict=True)]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]
    bounds = 0.4 * np.array(frame.extent) / 4
    for seed in range(10):
        drawn = {
            key: torch.from_numpy(value)[None] for key, value in step.draw(np.random.default_rng(seed), frame).items()
        }
        landed = step.warp(points, drawn)[0].numpy()
        moves = np.abs(landed - points[0].numpy()).max((1, 2, 3))
        assert (moves <= bounds + 1e-4).all()
        assert (moves > 0.2 * bounds).all()
        jacobian = np.stack([np.stack(np.gradient(part, *[a.numpy() for a in axes])) for part in landed])
        assert np.linalg.det(jacobian.transpose(2, 3, 4, 0, 1)).min() > 0


def test_frames_name_axes_after_the_patient_or_the_picture() -> None:
    affine = np.diag((1.0, 2.0, 3.0, 1.0))
    volume, picture = Grid((9, 8, 7), affine), Grid((9, 8, 1), np.eye(4), "pixel")
    flipped = Grid((9, 8, 7), np.diag((-1.0, 2.0, 3.0, 1.0)))
    full = Frame.of(volume, (4, 4, 4), channels=2)
    assert full == Frame((4, 4, 4), (1, 2, 3), ("left_right", "posterior_anterior", "inferior_superior"), 2)
    assert Frame.of(volume, (4, 4), slice_axis=1).axes == ("left_right", "inferior_superior")
    assert Frame.of(volume, (4, 4), slice_axis=1).spacing == (1, 3)
    assert Frame.of(picture, (9, 8)).axes == ("vertical", "horizontal")
    assert Frame.of(flipped, (4, 4, 4)).axes == ("i", "j", "k")
    assert full.extent == (4, 8, 12)


def test_identity_warp_gives_the_image_back(make_batch: Any) -> None:
    batch, frame = make_batch((9, 8, 7))
    still = AffineConfig(rotate_degrees=0, scale=(1, 1), translate=0, probability=1)
    result = Augmenter([still], 1)(dataclasses.replace(batch, epoch=0), frame)
    torch.testing.assert_close(result.images, batch.images, atol=1e-4, rtol=0)
    assert torch.equal(result.targets, batch.targets)
