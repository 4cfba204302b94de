"""Back onto the image's own grid: slabs change nothing, places are those of the world, the unseen is background."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from hilum.inference import restore
from hilum.inference.restore import to_source
from hilum.problem import Problem
from hilum.volume import Grid, Volume, resample

ORGANS = Problem(
    kind="segmentation",
    dims=3,
    channels=("t1",),
    classes=("background", "organ", "lesion"),
    values=((0,), (3,), (300,)),
)
REGIONS = Problem(
    kind="segmentation",
    dims=3,
    channels=("t1",),
    classes=("whole", "core"),
    values=((1, 2), (2,)),
    exclusive=False,
)


def rotation(degrees: float) -> np.ndarray:
    turn = np.radians(degrees)
    return np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])


def grid(shape: tuple[int, int, int], spacing: tuple[float, float, float], degrees: float = 0.0) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = rotation(degrees) @ np.diag(spacing)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)  # all share the centre 0
    return Grid(shape, affine)


def world(where: Grid) -> np.ndarray:
    """Coordinates (I, J, K, 3) of the voxel centres."""
    index = np.stack(np.meshgrid(*map(np.arange, where.shape), indexing="ij"), axis=-1)
    return index @ where.affine[:3, :3].T + where.affine[:3, 3]


def balls(where: Grid) -> torch.Tensor:
    """Probabilities of a ball of 12 mm radius with a smaller one inside, off centre; both change over about 1 mm."""
    points = world(where)
    organ = 1 / (1 + np.exp(np.linalg.norm(points - (2, -3, 1), axis=-1) - 12))
    lesion = 1 / (1 + np.exp(np.linalg.norm(points - (5, -1, 2), axis=-1) - 5))
    shares = np.stack([1 - organ, organ * (1 - lesion), organ * lesion])
    return torch.from_numpy(shares.astype(np.float32))


SOURCES = {
    "same": grid((36, 38, 34), (1, 1, 1)),
    "flipped": grid((36, 38, 34), (-1, -1, 1)),
    "coarse": grid((18, 19, 10), (2, 2, 3.5)),
    "fine": grid((50, 40, 60), (0.7, 0.9, 0.6)),
    "oblique": grid((40, 40, 20), (1, 0.8, 2), 30),
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
@pytest.mark.parametrize("problem", [ORGANS, REGIONS], ids=["classes", "regions"])
def test_slabs_equal_the_whole_volume(monkeypatch: pytest.MonkeyPatch, source: Grid, problem: Problem) -> None:
    prepared = grid((40, 40, 40), (1, 1, 1))
    predicted = torch.rand(problem.num_outputs, 40, 40, 40, generator=torch.manual_seed(1))
    whole = resample(Volume(predicted, prepared), source, antialias=False, outside=0.0).tensor
    if problem.exclusive:
        background = Volume(predicted[:1], prepared)
        whole[0] = resample(background, source, antialias=False, outside=1.0).tensor[0]
    monkeypatch.setattr(restore, "SLAB_NUMBERS", 3 * problem.num_outputs * source.shape[1] * source.shape[2])
    found = to_source(Volume(predicted, prepared), source, problem)
    assert found.grid == source
    disagree = (found.tensor[0] != problem.decode(whole)).float().mean()
    assert disagree < 1e-4  # noise has near-ties, which rounding may decide otherwise


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.5, 1.5, 1.5)])
def test_shapes_come_back_at_their_place_in_the_world(source: Grid, spacing: tuple[float, float, float]) -> None:
    prepared = grid((48, 48, 48), spacing)
    found = to_source(Volume(balls(prepared), prepared), source, ORGANS).tensor[0]
    expected = ORGANS.decode(balls(source))
    for value in (3, 300):
        overlap = ((found == value) & (expected == value)).sum()
        least = 0.98 if value == 3 else 0.93  # linear interpolation shrinks what is small and round
        assert 2 * overlap / ((found == value).sum() + (expected == value).sum()) > least
        centre = [world(source)[labels == value].mean(0) for labels in (found.numpy(), expected.numpy())]
        assert np.abs(centre[0] - centre[1]).max() < 0.15 * max(source.spacing)


def test_the_same_grid_is_decoded_as_it_is() -> None:
    where = grid((20, 21, 22), (1, 1, 3))
    shares = balls(where)
    found = to_source(Volume(shares, where), where, ORGANS)
    assert torch.equal(found.tensor[0], ORGANS.decode(shares))
    assert found.tensor.dtype == ORGANS.decode(shares).dtype


@pytest.mark.parametrize("problem", [ORGANS, REGIONS], ids=["classes", "regions"])
def test_what_was_cropped_away_is_background(problem: Problem) -> None:
    source = grid((12, 14, 16), (1, 1, 2))
    prepared = source.cropped((2, 3, 4), (9, 10, 11))
    shares = torch.zeros(problem.num_outputs, 7, 7, 7)
    shares[1 if problem.exclusive else slice(None)] = 1.0
    found = to_source(Volume(shares, prepared), source, problem).tensor[0]
    expected = torch.zeros(12, 14, 16, dtype=found.dtype)
    expected[2:9, 3:10, 4:11] = 3 if problem.exclusive else 2
    assert torch.equal(found, expected)


def test_the_outer_voxels_of_a_finer_source_belong_to_the_field_of_view() -> None:
    source = grid((12, 12, 12), (1, 1, 1))
    prepared = source.respaced((3, 3, 3))
    shares = torch.zeros(3, *prepared.shape)
    shares[2] = 1.0
    assert (to_source(Volume(shares, prepared), source, ORGANS).tensor == 300).all()


def test_a_source_that_the_prediction_never_touches_is_background() -> None:
    source = grid((6, 6, 6), (1, 1, 1))
    for axis, side in itertools.product(range(3), (-1, 1)):
        affine = source.affine.copy()
        affine[axis, 3] += side * 100
        shares = torch.zeros(3, 6, 6, 6)
        shares[1] = 1.0
        assert not to_source(Volume(shares, Grid((6, 6, 6), affine)), source, ORGANS).tensor.any()
