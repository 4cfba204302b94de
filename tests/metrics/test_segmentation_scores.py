"""Segmentation scores in closed form, and the rules for structures that only one side has."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from hilum.errors import ConfigError
from hilum.metrics.base import CaseMetric, check_columns
from hilum.metrics.boundary_iou import BoundaryIouMetric
from hilum.metrics.cldice import CldiceMetric
from hilum.metrics.dice import DiceMetric
from hilum.metrics.hd95 import Hd95Metric
from hilum.metrics.iou import IouMetric
from hilum.metrics.lesions import LesionF1Metric, LesionFalsePositivesMetric, PanopticQualityMetric
from hilum.metrics.nsd import NsdMetric
from hilum.metrics.pair import MaskPair
from hilum.metrics.volume import VolumeErrorMetric, VolumeMetric

DICE, IOU, HD95, NSD = DiceMetric(), IouMetric(), Hd95Metric(), NsdMetric()


def block(start: int, stop: int, shape: tuple[int, int, int] = (40, 10, 10)) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[start:stop] = True
    return mask


def test_overlap_of_shifted_blocks() -> None:
    pair = MaskPair(block(0, 20), block(10, 30), (1, 1, 1))
    assert DICE.measure(pair) == 0.5
    assert IOU.measure(pair) == pytest.approx(1 / 3)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.5, 0.5)])
def test_distance_between_parallel_plates_is_their_gap(spacing: tuple[float, float, float]) -> None:
    pair = MaskPair(block(2, 3), block(9, 10), spacing)
    assert HD95.measure(pair) == pytest.approx(7 * spacing[0])
    assert NSD.measure(pair) == 0
    assert NsdMetric(tolerance_mm=7 * spacing[0]).measure(pair) == 1


def test_hd95_takes_the_worse_direction_and_not_the_pool() -> None:
    truth, predicted = block(0, 1), block(0, 1)
    predicted[30, :, 0] = True  # 10 of 110 predicted voxels lie far away: above the 95th percentile of one direction
    pair = MaskPair(truth, predicted, (1, 1, 1))
    pooled = np.concatenate([pair.distances.first_to_second, pair.distances.second_to_first])
    assert HD95.measure(pair) == 30
    assert np.percentile(pooled, 95) < 1


def test_percentile_is_interpolated() -> None:
    truth = np.zeros((30, 1, 1), dtype=bool)
    predicted = truth.copy()
    truth[0] = predicted[0] = predicted[10] = True
    assert HD95.measure(MaskPair(truth, predicted, (1, 1, 1))) == pytest.approx(9.5)


def test_a_distance_equal_to_the_tolerance_counts_in_spite_of_rounding() -> None:
    pair = MaskPair(block(0, 1), block(7, 8), (0.1, 0.1, 0.1))
    assert NsdMetric(tolerance_mm=0.7).measure(pair) == 1
    assert NsdMetric(tolerance_mm=0.69).measure(pair) == 0


def test_images_are_scored_in_their_plane() -> None:
    truth, predicted = block(0, 9, (9, 9, 1)), block(0, 9, (9, 9, 1))
    predicted[4, 4] = False  # the hole's four neighbours become surface, 4 pixels from the rim
    pair = MaskPair(truth, predicted, (1, 1, 1), "pixel")
    assert sorted(pair.distances.second_to_first)[-4:] == [3, 3, 3, 3]
    assert len(pair.distances.first_to_second) == 32


@pytest.mark.parametrize(
    ("metric", "absent", "wrong"), [(DICE, 1, 0), (IOU, 1, 0), (NSD, 1, 0), (HD95, 0, np.hypot(np.hypot(80, 10), 10))]
)
def test_structures_that_one_side_lacks_have_a_stated_score(metric: CaseMetric, absent: float, wrong: float) -> None:
    nothing, something = block(0, 0), block(3, 5)
    assert metric.measure(MaskPair(nothing, nothing, (2, 1, 1))) == absent
    assert metric.measure(MaskPair(something, nothing, (2, 1, 1))) == pytest.approx(wrong)
    assert metric.measure(MaskPair(nothing, something, (2, 1, 1))) == pytest.approx(wrong)


def test_the_penalty_exceeds_the_worst_distance_in_the_image() -> None:
    truth, predicted = np.zeros((2, 6, 7, 8), dtype=bool)
    truth[0, 0, 0] = predicted[-1, -1, -1] = True
    pair = MaskPair(truth, predicted, (1, 2, 3))
    assert HD95.measure(pair) < pair.diagonal


def test_nsd_names_its_tolerance() -> None:
    columns = [NsdMetric(tolerance_mm=tolerance).column for tolerance in (1, 2, 0.5)]
    assert columns == ["nsd", "nsd_2", "nsd_0.5"]
    check_columns([NSD, NsdMetric(tolerance_mm=2)])
    with pytest.raises(ConfigError, match="column 'nsd'"):
        check_columns([NSD, NsdMetric()])


def test_volumes_are_in_ml_or_in_pixels() -> None:
    truth, predicted = block(0, 10), block(0, 15)
    assert VolumeMetric().measure(MaskPair(truth, predicted, (2, 1, 1))) == pytest.approx(15 * 100 * 2 / 1000)
    assert VolumeErrorMetric().measure(MaskPair(truth, predicted, (2, 1, 1), voxel_ml=0.5)) == pytest.approx(250)
    assert VolumeErrorMetric().measure(MaskPair(predicted, truth, (2, 1, 1), "pixel")) == -500


def test_a_rim_sees_what_the_inside_hides() -> None:
    truth, predicted = block(2, 38), block(4, 38)
    pair = MaskPair(truth, predicted, (1, 1, 1))
    assert BoundaryIouMetric(width_mm=0).measure(pair) < BoundaryIouMetric().measure(pair) < IOU.measure(pair)
    assert BoundaryIouMetric(width_mm=40).measure(pair) == IOU.measure(pair)
    assert [BoundaryIouMetric().column, BoundaryIouMetric(width_mm=0.5).column] == ["boundary_iou", "boundary_iou_0.5"]


def test_a_gap_in_a_vessel_costs_the_centreline_its_length() -> None:
    vessel = np.zeros((9, 9, 40), dtype=bool)
    vessel[3:6, 3:6] = True
    broken, thick = vessel.copy(), vessel.copy()
    broken[:, :, 10:30] = False
    thick[2:7, 2:7] = True
    assert CldiceMetric().measure(MaskPair(vessel, vessel, (1, 1, 1))) == 1
    assert CldiceMetric().measure(MaskPair(vessel, thick, (1, 1, 1))) == 1  # in place and connected, if too thick
    share = CldiceMetric().measure(MaskPair(vessel, broken, (1, 1, 1)))
    assert share == pytest.approx(2 * 0.5 / 1.5, abs=0.05)  # nothing false, half of the line found


def test_lesions_name_the_rule_that_matches_them() -> None:
    columns = [
        metric.column
        for metric in (
            LesionF1Metric(),
            LesionF1Metric(matching="centre"),
            LesionF1Metric(matching="iou"),
            LesionF1Metric(matching="iou", iou=0.1),
            PanopticQualityMetric(),
            PanopticQualityMetric(iou=0.25),
            PanopticQualityMetric(matching="overlap"),
        )
    ]
    assert columns == [
        "lesion_f1",
        "lesion_f1_centre",
        "lesion_f1_iou",
        "lesion_f1_iou_0.1",
        "panoptic_quality",
        "panoptic_quality_iou_0.25",
        "panoptic_quality_overlap",
    ]
    with pytest.raises(ValidationError, match="received matching: overlap"):
        LesionFalsePositivesMetric(iou=0.3)


def test_one_prediction_cannot_find_two_lesions() -> None:
    truth, predicted = np.zeros((2, 9, 9, 1), dtype=bool)
    truth[1:3], truth[5:7] = True, True
    predicted[1:7] = True
    pair = MaskPair(truth, predicted, (1, 1, 1))
    assert LesionF1Metric().measure(pair) == pytest.approx(2 / 3)
    assert LesionFalsePositivesMetric().measure(pair) == 0
