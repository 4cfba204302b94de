"""The numbers of a reliability diagram against scikit-learn's curve and SciPy's interval."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve

from hilum.evaluation.reliability import BINS, CONFIDENCE, reliability_curve, reliability_of, wilson
from hilum.metrics.ece import EceMetric


@pytest.mark.parametrize("decimals", [1, 9])
@pytest.mark.parametrize("seed", range(3))
def test_a_curve_is_that_of_scikit_learn(seed: int, decimals: int) -> None:
    rng = np.random.default_rng(seed)
    claimed = rng.random(150).round(decimals)
    happened = rng.random(150) < claimed
    curve = reliability_curve(happened, claimed, [str(number) for number in range(150)])
    observed, means = calibration_curve(happened, claimed, n_bins=BINS)
    assert [each["observed"] for each in curve] == pytest.approx(observed)
    assert [each["claimed"] for each in curve] == pytest.approx(means)
    assert sum(each["cases"] for each in curve) == 150
    for each in curve:
        assert each["observed_low"] <= each["observed"] <= each["observed_high"]


@pytest.mark.parametrize(("number", "size"), [(0, 1), (1, 1), (0, 12), (5, 12), (12, 12), (77, 240)])
def test_a_band_is_that_of_scipy(number: int, size: int) -> None:
    interval = binomtest(number, size).proportion_ci(method="wilson")
    assert wilson(number / size, size) == pytest.approx((interval.low, interval.high))


def test_cases_of_one_patient_count_once_in_the_band() -> None:
    claimed, happened = np.full(40, 0.75), np.array([True, True, True, False] * 10)
    alone = reliability_curve(happened, claimed, [str(number) for number in range(40)])[0]
    shared = reliability_curve(happened, claimed, [str(number % 4) for number in range(40)])[0]
    assert (shared["cases"], shared["patients"], shared["observed"]) == (40, 4, 0.75)
    assert (shared["observed_low"], shared["observed_high"]) == pytest.approx(wilson(0.75, 4))
    assert shared["observed_low"] < alone["observed_low"]


def test_two_classes_have_one_curve_and_more_have_that_of_all_decisions_first() -> None:
    rng = np.random.default_rng(1)
    probabilities, truth = rng.dirichlet(np.ones(3), 90), rng.integers(0, 3, 90)
    people = [str(number) for number in range(90)]
    curves = reliability_of(truth, probabilities, classes=("a", "b", "c"), patients=people)
    assert list(curves) == [CONFIDENCE, "a", "b", "c"]
    gap = sum(each["cases"] * abs(each["observed"] - each["claimed"]) for each in curves[CONFIDENCE]) / 90
    assert gap == pytest.approx(EceMetric(bins=BINS).score(truth, probabilities, ("a", "b", "c"))[f"ece_{BINS}"])
    two = reliability_of(truth % 2, probabilities[:, :2], classes=("no", "yes"), patients=people)
    assert list(two) == ["yes"]
