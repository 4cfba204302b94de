"""Back onto the image's own grid: blocks change nothing, places are those of the world, the unseen is background."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from tests.inference.brute_force import labels_on, to_source

from hilum.inference import restore
from hilum.inference.blending import Block
from hilum.inference.restore import SourceLabels
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


def blocks(probabilities: Volume, cuts: tuple[list[int], ...], margins: tuple[bool, ...]) -> Iterator[Block]:
    """A volume cut into blocks that overlap by one voxel along axes with a margin."""
    for box in itertools.product(*(itertools.pairwise([0, *along, 40]) for along in cuts)):
        i, j, k = (int(margin and low > 0) for margin, (low, _) in zip(margins, box, strict=True))
        (a, b), (c, d), (e, f) = box
        values = probabilities.tensor[:, a - i : b, c - j : d, e - k : f].movedim(0, 3).contiguous()
        yield Block(values, (a - i, c - j, e - k), (i, j, k))


def smooth(problem: Problem) -> Volume:
    """Probabilities that differ slowly from voxel to voxel, so that neighbours often agree and often do not."""
    coarse = torch.randn(1, problem.num_outputs, 7, 7, 7, generator=torch.manual_seed(1))
    logits = 3 * torch.nn.functional.interpolate(coarse, size=(40, 40, 40), mode="trilinear")
    return Volume(problem.probabilities(logits)[0], grid((40, 40, 40), (1, 1, 1)))


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
@pytest.mark.parametrize("problem", [ORGANS, REGIONS], ids=["classes", "regions"])
def test_blocks_equal_the_whole_volume_to_the_last_label(source: Grid, problem: Problem, noise: bool) -> None:
    predicted = smooth(problem)
    if noise:
        random = torch.rand(predicted.tensor.shape, generator=torch.manual_seed(1))
        predicted = Volume(random, predicted.grid)
    labels = SourceLabels(predicted.grid, source, problem)
    for block in blocks(predicted, ([2, 19], [30], [7, 8, 39]), labels.margins):
        labels.take(block)
    assert torch.equal(labels.labels, labels_on(predicted, source, problem))
    assert torch.equal(labels.labels, to_source(predicted, source, problem).tensor[0])


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_a_visitor_sees_each_voxel_of_the_field_of_view_once_with_its_probabilities(source: Grid) -> None:
    predicted = smooth(ORGANS)
    seen = torch.full((3, *source.shape), torch.nan)
    count = torch.zeros(source.shape, dtype=torch.int64)

    def visit(voxels: torch.Tensor, probabilities: torch.Tensor) -> None:
        seen.flatten(1)[:, voxels] = probabilities
        count.view(-1).index_add_(0, voxels, torch.ones_like(voxels))

    labels = SourceLabels(predicted.grid, source, ORGANS, visit=visit)
    for block in blocks(predicted, ([2, 19], [30], [7, 8, 39]), labels.margins):
        labels.take(block)
    expected = resample(predicted, source, antialias=False, outside=-1.0).tensor
    there = expected[0] >= 0
    assert torch.equal(count, there.long())
    torch.testing.assert_close(seen[:, there], expected[:, there], rtol=0, atol=1e-5)
    assert torch.equal(labels.labels, labels_on(predicted, source, ORGANS))


def test_voxels_that_fall_onto_others_are_copied_and_need_no_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("nothing is to be interpolated")

    monkeypatch.setattr(restore, "interpolated", refused)
    predicted = smooth(ORGANS)
    turned = predicted.grid.affine[:, [2, 0, 1, 3]] @ np.diag([-1, 1, -1, 1])
    turned[:3, 3] = predicted.grid.affine[:3] @ (37, 2, 39, 1)
    source = Grid((30, 20, 45), turned)  # permuted, two axes flipped, cropped and padded
    labels = SourceLabels(predicted.grid, source, ORGANS)
    assert labels.margins == (False, False, False)
    for block in blocks(predicted, ([2, 19], [30], [7, 8, 39]), labels.margins):
        labels.take(block)
    assert torch.equal(labels.labels, labels_on(predicted, source, ORGANS))
    assert 0 < int((labels.labels > 0).sum()) < labels.labels.numel()


def test_regions_whose_values_do_not_follow_from_one_half_are_interpolated_all_the_same() -> None:
    """Three regions that only occur together: which label fits best is not what lies above one half."""
    together = Problem("segmentation", 3, ("t1",), ("a", "b", "c"), ((1,), (1,), (1,)), exclusive=False)
    predicted = smooth(together)
    for source in SOURCES.values():
        found = to_source(predicted, source, together).tensor[0]
        assert torch.equal(found, labels_on(predicted, source, together))


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
