"""Lesions of any two masks against floods from voxel to voxel and matches written out with sets."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hilum.geometry.lesions import Matching
from hilum.metrics.lesions import (
    LesionF1Metric,
    LesionFalsePositivesMetric,
    LesionSensitivityMetric,
    PanopticQualityMetric,
    detection,
)
from hilum.metrics.pair import MaskPair

Lesion = frozenset[tuple[int, ...]]
SHAPES = st.sampled_from([(7, 8, 1), (5, 4, 4), (1, 6, 7), (9, 3, 2)])
RULES: tuple[Matching, ...] = ("overlap", "iou", "centre")


@st.composite
def pairs(draw: st.DrawFn) -> MaskPair:
    """Sparse masks, so that there are several components; one of them may be empty."""
    shape = draw(SHAPES)
    masks = [draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 3))) == 0 for _ in range(2)]
    masks = [mask & draw(st.sampled_from([True, True, True, False])) for mask in masks]
    return MaskPair(masks[0], masks[1], (1, 1, 1))


def lesions_of(mask: np.ndarray) -> list[Lesion]:
    """The components in the order of their first voxels; corners connect."""
    left = {tuple(map(int, voxel)) for voxel in np.argwhere(mask)}
    found = []
    while left:
        start = min(left)
        component, edge = {start}, [start]
        while edge:
            place = edge.pop()
            near = {tuple(np.add(place, step).tolist()) for step in itertools.product((-1, 0, 1), repeat=3)}
            edge += (near & left) - component
            component |= near & left
        left -= component
        found.append(frozenset(component))
    return found


def overlap(one: Lesion, two: Lesion) -> float:
    return len(one & two) / len(one | two)


def matched(truth: list[Lesion], predicted: list[Lesion], rule: Matching, least: float) -> list[tuple[Lesion, Lesion]]:
    """Greedily, the best pair first; of equals the earlier lesions."""

    def fits(one: Lesion, two: Lesion) -> bool:
        if rule == "centre":
            centre = tuple(math.floor(sum(axis) / len(two) + 0.5) for axis in zip(*two, strict=True))
            return centre in one
        return overlap(one, two) > least if rule == "iou" else bool(one & two)

    def merit(pair: tuple[Lesion, Lesion]) -> float:
        return overlap(*pair) if rule == "iou" else len(pair[0] & pair[1])

    chosen: list[tuple[Lesion, Lesion]] = []
    for one, two in sorted(itertools.product(truth, predicted), key=lambda pair: -merit(pair)):
        if fits(one, two) and all(one is not first and two is not second for first, second in chosen):
            chosen.append((one, two))
    return chosen


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=60)
@given(pair=pairs(), least=st.sampled_from([0.0, 0.1, 0.5]))
def test_lesions_are_found_as_sets_say(rule: Matching, pair: MaskPair, least: float) -> None:
    truth, predicted = lesions_of(pair.truth), lesions_of(pair.predicted)
    chosen = matched(truth, predicted, rule, least)
    found = detection(pair, rule, least)
    assert (found.found, found.missed, found.invented) == (
        len(chosen),
        len(truth) - len(chosen),
        len(predicted) - len(chosen),
    )
    assert math.isclose(found.iou, sum(overlap(*both) for both in chosen))


@settings(max_examples=60)
@given(pairs())
def test_scores_follow_from_what_was_found(pair: MaskPair) -> None:
    truth, predicted = lesions_of(pair.truth), lesions_of(pair.predicted)
    chosen = matched(truth, predicted, "overlap", 0)
    empty = not truth and not predicted
    halves = (len(truth) + len(predicted)) / 2
    assert LesionF1Metric().measure(pair) == pytest.approx(1 if empty else len(chosen) / halves)
    expected = len(chosen) / len(truth) if truth else float(empty)
    assert LesionSensitivityMetric().measure(pair) == pytest.approx(expected)
    assert LesionFalsePositivesMetric().measure(pair) == len(predicted) - len(chosen)
    quality = sum(overlap(*both) for both in matched(truth, predicted, "iou", 0.5))
    assert PanopticQualityMetric().measure(pair) == pytest.approx(1 if empty else quality / halves)
