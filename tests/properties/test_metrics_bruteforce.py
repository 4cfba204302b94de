"""Segmentation scores of any two masks against their definitions, written out over all pairs of surface voxels."""

from __future__ import annotations

import itertools
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hilum.metrics.assd import assd, masd
from hilum.metrics.boundary_iou import boundary_iou
from hilum.metrics.dice import dice
from hilum.metrics.hd import hd
from hilum.metrics.hd95 import hd95
from hilum.metrics.iou import iou
from hilum.metrics.nsd import nsd
from hilum.metrics.pair import MaskPair
from hilum.metrics.precision import precision
from hilum.metrics.recall import recall
from hilum.metrics.volume import relative_volume_error, volume_error

Voxel = tuple[int, ...]
SHAPES = st.one_of(
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(2, 5)),
    st.tuples(st.integers(2, 9), st.integers(2, 9), st.just(1)),
)
SPACINGS = st.tuples(*[st.sampled_from([0.3, 0.75, 1.0, 2.2, 5.0])] * 3)


@st.composite
def masks(draw: st.DrawFn, shape: tuple[int, int, int]) -> np.ndarray:
    """Empty, full, one voxel, a box (often at the border) or anything."""
    mask = np.zeros(shape, dtype=bool)
    match draw(st.sampled_from(["empty", "full", "voxel", "box", "any", "any"])):
        case "full":
            mask[:] = True
        case "voxel":
            mask[tuple(draw(st.integers(0, size - 1)) for size in shape)] = True
        case "box":
            ends = [sorted(draw(st.tuples(st.integers(0, size), st.integers(0, size)))) for size in shape]
            mask[tuple(slice(low, high) for low, high in ends)] = True
        case "any":
            mask = draw(hnp.arrays(bool, shape))
    return mask


@st.composite
def pairs(draw: st.DrawFn) -> MaskPair:
    shape = draw(SHAPES)
    return MaskPair(draw(masks(shape)), draw(masks(shape)), draw(SPACINGS))


def voxels(mask: np.ndarray) -> set[Voxel]:
    return {tuple(map(int, voxel)) for voxel in np.argwhere(mask)}


def surface_of(mask: np.ndarray) -> list[Voxel]:
    """Voxels with a neighbour outside, along the axes the image has."""
    inside = voxels(mask)
    axes = [axis for axis in range(3) if mask.shape[axis] > 1] or [0, 1, 2]
    steps = [tuple(sign * (axis == other) for other in range(3)) for axis in axes for sign in (-1, 1)]
    shifted = {voxel: [tuple(map(sum, zip(voxel, step, strict=True))) for step in steps] for voxel in inside}
    return [voxel for voxel, neighbours in shifted.items() if not inside.issuperset(neighbours)]


def directed(pair: MaskPair) -> tuple[list[float], list[float]]:
    truth, predicted = surface_of(pair.truth), surface_of(pair.predicted)
    length = {
        (one, two): math.hypot(*((a - b) * step for a, b, step in zip(one, two, pair.spacing, strict=True)))
        for one, two in itertools.product(truth, predicted)
    }
    return (
        [min(length[one, two] for two in predicted) for one in truth],
        [min(length[one, two] for one in truth) for two in predicted],
    )


def percentile_95(values: list[float]) -> float:
    ranked = sorted(values)
    position = 0.95 * (len(ranked) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ranked) - 1)
    return ranked[low] + (position - low) * (ranked[high] - ranked[low])


@settings(max_examples=150)
@given(pairs())
def test_overlap(pair: MaskPair) -> None:
    truth, predicted = voxels(pair.truth), voxels(pair.predicted)
    union, total = len(truth | predicted), len(truth) + len(predicted)
    assert dice(pair) == (2 * len(truth & predicted) / total if total else 1)
    assert iou(pair) == (len(truth & predicted) / union if union else 1)
    empty = float(not total)
    assert precision(pair) == (len(truth & predicted) / len(predicted) if predicted else empty)
    assert recall(pair) == (len(truth & predicted) / len(truth) if truth else empty)
    surplus = len(predicted) - len(truth)
    assert math.isclose(volume_error(pair), surplus * math.prod(pair.spacing) / 1000)
    if truth or not predicted:
        assert relative_volume_error(pair) == (surplus / len(truth) if truth else 0)
    else:
        assert math.isnan(relative_volume_error(pair))


@settings(max_examples=150)
@given(pairs())
def test_distances(pair: MaskPair) -> None:
    found = (hd(pair), hd95(pair), assd(pair), masd(pair))
    if pair.status == "found":
        ways = directed(pair)
        means = [sum(values) / len(values) for values in ways]
        expected = (
            max(map(max, ways)),
            max(map(percentile_95, ways)),
            sum(map(sum, ways)) / sum(map(len, ways)),
            sum(means) / 2,
        )
        assert max(expected) < pair.diagonal
    else:
        expected = (0 if pair.status == "absent" else pair.diagonal,) * 4
    assert all(abs(ours - brute) < 1e-4 for ours, brute in zip(found, expected, strict=True))


def rim_of(mask: np.ndarray, pair: MaskPair, width_mm: float) -> set[Voxel]:
    """Voxels with one of the surface within the width."""
    edge = surface_of(mask)
    return {
        voxel
        for voxel in voxels(mask)
        if any(
            math.hypot(*((a - b) * step for a, b, step in zip(voxel, other, pair.spacing, strict=True)))
            <= width_mm + 1e-9
            for other in edge
        )
    }


@settings(max_examples=60)
@given(pairs(), st.sampled_from([0.0, 1.0, 2.2, 5.0]))
def test_boundary_iou(pair: MaskPair, width_mm: float) -> None:
    truth, predicted = (rim_of(mask, pair, width_mm) for mask in (pair.truth, pair.predicted))
    union = len(truth | predicted)
    assert boundary_iou(pair, width_mm) == (len(truth & predicted) / union if union else 1)


@settings(max_examples=150)
@given(pairs(), st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0]))
def test_nsd(pair: MaskPair, tolerance_mm: float) -> None:
    if pair.status == "found":
        distances = [value for values in directed(pair) for value in values]
        expected = sum(value <= tolerance_mm + 1e-9 for value in distances) / len(distances)
    else:
        expected = float(pair.status == "absent")
    assert math.isclose(nsd(pair, tolerance_mm), expected)


@settings(max_examples=100)
@given(pairs())
def test_every_score_is_symmetric_finite_and_best_for_equal_masks(pair: MaskPair) -> None:
    swapped = MaskPair(pair.predicted, pair.truth, pair.spacing)
    perfect = MaskPair(pair.truth, pair.truth, pair.spacing)
    for score in (dice, iou, hd, hd95, assd, masd, lambda masks: nsd(masks, 1.0), lambda masks: boundary_iou(masks, 2)):
        assert math.isfinite(score(pair))
        assert math.isclose(score(pair), score(swapped), abs_tol=1e-5)
    assert (dice(perfect), iou(perfect), hd95(perfect), nsd(perfect, 0.0)) == (1, 1, 0, 1)
    assert (hd(perfect), assd(perfect), masd(perfect), boundary_iou(perfect, 1.0)) == (0, 0, 0, 1)


@settings(max_examples=60)
@given(pairs(), st.integers(1, 3))
def test_empty_space_around_a_structure_moves_no_score_but_the_penalty(pair: MaskPair, margin: int) -> None:
    margins = [(margin, margin) if size > 1 else (0, 0) for size in pair.truth.shape]
    wider = MaskPair(np.pad(pair.truth, margins), np.pad(pair.predicted, margins), pair.spacing)
    scores = [dice, iou, lambda masks: nsd(masks, 1.0), lambda masks: boundary_iou(masks, 1.0)]
    scores += [hd, hd95, assd, masd] if pair.status == "found" else []
    for score in scores:
        assert math.isclose(score(pair), score(wider), abs_tol=1e-5)
