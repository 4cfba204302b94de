"""Scores of a regression against scikit-learn, SciPy and numpy; weights count as repeated cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from hilum.metrics.base import NumberMetric
from hilum.metrics.bland_altman import BlandAltmanMetric
from hilum.metrics.mae import MaeMetric
from hilum.metrics.pearson import PearsonMetric
from hilum.metrics.r2 import R2Metric
from hilum.metrics.rmse import RmseMetric

ALL = (MaeMetric(), RmseMetric(), R2Metric(), PearsonMetric(), BlandAltmanMetric())


def numbers(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(1e4, 3.0, 40)  # far from 0: sums of squares lose digits there
    return truth, truth * 0.9 + rng.normal(1000, 2.0, 40)


def scores(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    once = np.ones((1, len(truth)))
    found = [metric.weighted(truth, predicted, once) for metric in ALL]
    return {name: float(values[0]) for one in found for name, values in one.items()}


@pytest.mark.parametrize("seed", range(5))
def test_as_scikit_learn_and_scipy_have_them(seed: int) -> None:
    truth, predicted = numbers(seed)
    found = {
        name: value[0] for metric in ALL for name, value in metric.weighted(truth, predicted, np.ones((1, 40))).items()
    }
    difference = predicted - truth
    half = 1.96 * difference.std(ddof=1)
    expected = {
        "mae": sklearn_metrics.mean_absolute_error(truth, predicted),
        "rmse": sklearn_metrics.root_mean_squared_error(truth, predicted),
        "r2": sklearn_metrics.r2_score(truth, predicted),
        "pearson": stats.pearsonr(truth, predicted).statistic,
        "bland_altman": difference.mean(),
        "bland_altman_low": difference.mean() - half,
        "bland_altman_high": difference.mean() + half,
    }
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.kind)
def test_weights_are_repeated_cases(metric: NumberMetric) -> None:
    truth, predicted = numbers(7)
    weights = np.random.default_rng(0).integers(0, 4, (6, 40)).astype(np.float64)
    found = metric.weighted(truth, predicted, weights)
    for row, counts in enumerate(weights.astype(int)):
        repeated = np.repeat(truth, counts), np.repeat(predicted, counts)
        alone = metric.weighted(*repeated, np.ones((1, counts.sum())))
        assert {name: values[row] for name, values in found.items()} == pytest.approx(
            {name: values[0] for name, values in alone.items()}, rel=1e-9
        )


def test_what_is_undefined_is_nan() -> None:
    same, other, once = np.full(5, 0.1), np.arange(5.0), np.ones((1, 5))
    assert np.isnan(R2Metric().weighted(same, other, once)["r2"]).all()
    assert np.isnan(PearsonMetric().weighted(same, other, once)["pearson"]).all()
    assert np.isnan(PearsonMetric().weighted(other, same, once)["pearson"]).all()
    alone = BlandAltmanMetric().weighted(other[:1], same[:1], np.ones((1, 1)))
    assert alone["bland_altman"] == pytest.approx(0.1)
    assert np.isnan(alone["bland_altman_low"]).all()
    empty = np.zeros(0)
    assert all(
        np.isnan(value).all() for metric in ALL for value in metric.weighted(empty, empty, np.ones((1, 0))).values()
    )
