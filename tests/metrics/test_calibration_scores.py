"""Calibration errors against plain loops over their bins."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.metrics.ece import AdaptiveEceMetric, EceMetric
from hilum.metrics.nll import LEAST, NllMetric

CLASSES = ("a", "b", "c")


def cohort(seed: int, *, decimals: int, cases: int = 47) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, cases)
    probabilities = rng.dirichlet(np.ones(3), cases).round(decimals)
    probabilities[:, 0] += 1 - probabilities.sum(1)
    return truth, probabilities


def binned(truth: np.ndarray, probabilities: np.ndarray, bins: int) -> float:
    """Case by case into the bin ](b) / bins, (b + 1) / bins], in whole thousandths so that edges are exact."""
    members: dict[int, list[tuple[float, bool]]] = {}
    for case, own in zip(truth, probabilities, strict=True):
        thousandths = round(float(own.max()) * 1000)
        number = max(0, -(-thousandths * bins // 1000) - 1)
        members.setdefault(number, []).append((float(own.max()), int(own.argmax()) == case))
    gaps = [
        abs(sum(right for _, right in group) - sum(confidence for confidence, _ in group)) for group in members.values()
    ]
    return sum(gaps) / len(truth)


def in_equal_parts(truth: np.ndarray, probabilities: np.ndarray, bins: int) -> float:
    """Every case cut into `bins` pieces, which fill the bins one after the other; equals share what they got right."""
    confidence, right = probabilities.max(1), (probabilities.argmax(1) == truth).astype(float)
    order = np.argsort(confidence, kind="stable")
    confidence = confidence[order]
    right = np.array([right[order][confidence == value].mean() for value in confidence])
    pieces = np.repeat(right - confidence, bins).reshape(bins, -1)
    return float(np.abs(pieces.sum(1)).sum() / pieces.size)


@pytest.mark.parametrize("bins", [1, 4, 10, 15])
@pytest.mark.parametrize("decimals", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_expected_error_is_that_of_a_loop_over_its_bins(seed: int, decimals: int, bins: int) -> None:
    truth, probabilities = cohort(seed, decimals=decimals)
    probabilities = probabilities.round(3)
    metric = EceMetric(bins=bins)
    found = metric.score(truth, probabilities, CLASSES)
    assert found == {metric.column: pytest.approx(binned(truth, probabilities, bins))}


@pytest.mark.parametrize("bins", [1, 4, 10, 15])
@pytest.mark.parametrize("decimals", [1, 6])
@pytest.mark.parametrize("seed", range(3))
def test_adaptive_error_is_that_of_bins_filled_piece_by_piece(seed: int, decimals: int, bins: int) -> None:
    truth, probabilities = cohort(seed, decimals=decimals)
    metric = AdaptiveEceMetric(bins=bins)
    found = metric.score(truth, probabilities, CLASSES)
    assert found == {metric.column: pytest.approx(in_equal_parts(truth, probabilities, bins))}


def test_the_order_of_the_cases_moves_no_error() -> None:
    truth, probabilities = cohort(1, decimals=1)
    mixed = np.random.default_rng(0).permutation(len(truth))
    for metric in (EceMetric(), AdaptiveEceMetric()):
        once = metric.score(truth, probabilities, CLASSES)[metric.column]
        assert metric.score(truth[mixed], probabilities[mixed], CLASSES)[metric.column] == pytest.approx(once)


def test_a_certain_mistake_costs_much_but_not_everything() -> None:
    loss = NllMetric().score(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]]), ("a", "b"))["nll"]
    assert loss == pytest.approx(-np.log(LEAST) / 2)


def test_errors_name_their_bins() -> None:
    assert [metric.column for metric in (EceMetric(), EceMetric(bins=10), AdaptiveEceMetric(bins=5))] == [
        "ece",
        "ece_10",
        "adaptive_ece_5",
    ]
