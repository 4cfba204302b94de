"""Structures cut to their boxes score as the whole masks do, whatever the label values are."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.evaluation.structures import structure_pairs, voxel_volume_ml
from hilum.metrics.base import CaseMetric
from hilum.metrics.pair import MaskPair
from hilum.problem import Problem
from hilum.registry import kinds
from hilum.volume import Grid

METRICS = [made for cls in kinds("metrics").values() if isinstance(made := cls(), CaseMetric)]
SHEARED = np.array([[2.0, 0.5, 0, 0], [0, 1.0, 0, 0], [0, 0, 3.0, 0], [0, 0, 0, 1]])


def problem(*, exclusive: bool, ignore: int | None = None) -> Problem:
    groups: tuple[tuple[int, ...], ...] = ((0,), (7,), (2, 90), (300,)) if exclusive else ((7, 2), (2, 300))
    names = ("background", "organ", "lesion", "never") if exclusive else ("whole", "core")
    return Problem("segmentation", 3, ("scan",), names, groups, exclusive=exclusive, ignore=ignore)


def cases(shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(8)
    truth, predicted = np.zeros((2, *shape), dtype=np.int16)
    for labels, shift in ((truth, 0), (predicted, 1)):
        labels[2 : 7 + shift, 1:6] = 7
        labels[1 + shift : 3 + shift, 4:9] = 2
        labels[8:, 8 - shift :] = 90
    predicted[rng.random(shape) < 0.05] = 0
    truth[rng.random(shape) < 0.1] = 255
    return truth, predicted


@pytest.mark.parametrize("ignore", [None, 255])
@pytest.mark.parametrize("exclusive", [True, False], ids=["classes", "regions"])
@pytest.mark.parametrize("shape", [(10, 11, 6), (12, 10, 1)], ids=["volume", "image"])
def test_scores_are_those_of_whole_masks(shape: tuple[int, int, int], exclusive: bool, ignore: int | None) -> None:
    asked = problem(exclusive=exclusive, ignore=ignore)
    truth, predicted = cases(shape)
    grid = Grid(shape, SHEARED)
    seen = truth != ignore if ignore is not None else np.ones(shape, dtype=bool)
    wanted = asked.values[-len(asked.foreground) :]
    found = dict(structure_pairs(truth, predicted, problem=asked, grid=grid))
    assert tuple(found) == asked.foreground
    for (name, pair), values in zip(found.items(), wanted, strict=True):
        masks = [np.isin(labels, np.array(values, dtype=int)) & seen for labels in (truth, predicted)]
        whole = MaskPair(masks[0], masks[1], grid.spacing, voxel_ml=0.006)
        assert pair.truth.size < whole.truth.size, name
        for metric in METRICS:
            assert metric.measure(pair) == pytest.approx(metric.measure(whole)), (name, metric.kind)
        assert pair.diagonal == whole.diagonal


def test_a_flat_structure_in_a_volume_remains_one_of_a_volume() -> None:
    labels = np.zeros((9, 9, 5), dtype=np.uint8)
    labels[1:8, 1:8, 2] = 7
    ((_, pair), *_) = structure_pairs(
        labels, labels, problem=problem(exclusive=True), grid=Grid(labels.shape, np.eye(4))
    )
    assert pair.truth.shape == (7, 7, 1)
    assert len(pair.distances.first_to_second) == 49  # all of it is surface: there is something above and below


def test_a_foreground_of_value_0_is_found() -> None:
    swapped = Problem("segmentation", 3, ("scan",), ("background", "organ"), ((1,), (0,)))
    truth = np.ones((4, 4, 4), dtype=np.uint8)
    truth[1:3] = 0
    ((name, pair),) = structure_pairs(truth, truth, problem=swapped, grid=Grid(truth.shape, np.eye(4)))
    assert (name, pair.truth_voxels, pair.status) == ("organ", 32, "found")


def test_the_volume_of_a_voxel_is_that_of_its_sheared_box() -> None:
    assert voxel_volume_ml(Grid((3, 3, 3), SHEARED)) == pytest.approx(np.linalg.det(SHEARED[:3, :3]) / 1000)
    assert voxel_volume_ml(Grid((3, 3, 1), np.eye(4), "pixel")) is None
