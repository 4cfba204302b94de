"""Operating points against every threshold there is, tried one after the other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from hilum.evaluation.operating_points.base import OperatingPointConfig
from hilum.evaluation.operating_points.cost import CostPoint
from hilum.evaluation.operating_points.sensitivity import SensitivityPoint
from hilum.evaluation.operating_points.specificity import SpecificityPoint
from hilum.evaluation.operating_points.youden import YoudenPoint

Worth = Callable[[int, int, int, int], float]


def cost(tp: int, fp: int, fn: int, tn: int) -> float:
    """Summed over the cases, not expected."""
    del tp, tn
    return -(5.0 * fn + 1.0 * fp)


RULES: list[tuple[OperatingPointConfig, Worth]] = [
    (YoudenPoint(), lambda tp, fp, fn, tn: tp / (tp + fn) + tn / (tn + fp)),
    (CostPoint(false_negative=5, false_positive=1), cost),
    (
        SensitivityPoint(at_least=0.75),
        lambda tp, fp, fn, tn: tn / (tn + fp) if 4 * tp >= 3 * (tp + fn) else -np.inf,
    ),
    (
        SpecificityPoint(at_least=0.75),
        lambda tp, fp, fn, tn: tp / (tp + fn) if 4 * tn >= 3 * (tn + fp) else -np.inf,
    ),
]


def decisions(positive: np.ndarray, probability: np.ndarray, threshold: float) -> tuple[int, int, int, int]:
    """TP, FP, FN and TN, case by case."""
    found = [(bool(true), bool(share >= threshold)) for true, share in zip(positive, probability, strict=True)]
    return (
        found.count((True, True)),
        found.count((False, True)),
        found.count((True, False)),
        found.count((False, False)),
    )


cohorts = st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=2, max_size=30).filter(
    lambda cases: 0 < sum(positive for positive, _ in cases) < len(cases)
)


@pytest.mark.parametrize(("rule", "worth"), RULES, ids=lambda each: getattr(each, "kind", ""))
@settings(max_examples=40)
@given(cases=cohorts)
def test_no_other_threshold_is_better(rule: OperatingPointConfig, worth: Worth, cases: list[tuple[bool, int]]) -> None:
    positive = np.array([each for each, _ in cases])
    probability = np.array([score / 20 for _, score in cases])
    found = rule.choose(positive, probability)
    counts = found.tp, found.fp, found.fn, found.tn
    assert counts == decisions(positive, probability, found.value)
    every = [decisions(positive, probability, threshold) for threshold in [*np.arange(21) / 20, 2.0]]
    best = max(map(lambda each: worth(*each), every))  # noqa: C417 (a generator would hide the star)
    assert worth(*counts) == pytest.approx(best, abs=1e-9)
    equals = [each for each in every if worth(*each) == pytest.approx(best, abs=1e-9)]
    share = [round(tp / (tp + fn) + tn / (tn + fp), 9) for tp, fp, fn, tn in equals]
    assert round(found.sensitivity + found.specificity, 9) == max(share)


@given(cases=cohorts)
def test_a_threshold_stands_apart_from_every_probability(cases: list[tuple[bool, int]]) -> None:
    """So that a float's last digits, on another machine, do not turn a decision over."""
    positive = np.array([each for each, _ in cases])
    probability = np.array([score / 20 for _, score in cases])
    found = YoudenPoint().choose(positive, probability)
    inside = 0 < found.value < 1
    assert not inside or np.abs(probability - found.value).min() > 0.02
    nudged = probability + np.random.default_rng(0).uniform(-1e-6, 1e-6, len(probability))
    if inside:
        assert decisions(positive, nudged, found.value) == (found.tp, found.fp, found.fn, found.tn)


def test_youden_is_the_highest_point_above_the_diagonal() -> None:
    rng = np.random.default_rng(3)
    positive = rng.random(200) < 0.3
    probability = np.clip(rng.normal(0.35 + 0.3 * positive, 0.2), 0, 1)
    false_share, true_share, _ = roc_curve(positive, probability, drop_intermediate=False)
    found = YoudenPoint().choose(positive, probability)
    assert found.sensitivity + found.specificity - 1 == pytest.approx((true_share - false_share).max())


def test_a_cost_with_a_prevalence_minimises_what_a_case_will_cost_there() -> None:
    rng = np.random.default_rng(4)
    positive = rng.random(300) < 0.5
    probability = np.clip(rng.normal(0.4 + 0.2 * positive, 0.2), 0, 1)

    def expected(threshold: float) -> float:
        tp, fp, fn, tn = decisions(positive, probability, threshold)
        return 20 * 0.02 * fn / (tp + fn) + 3 * 0.98 * fp / (fp + tn)

    rare = CostPoint(false_negative=20, false_positive=3, prevalence=0.02).choose(positive, probability)
    thresholds = [0.0, *np.unique(probability), 2.0]
    assert expected(rare.value) == pytest.approx(min(map(expected, thresholds)))
    here = CostPoint(false_negative=20, false_positive=3).choose(positive, probability)
    assert here.value < rare.value  # where the finding is rare, an alarm is rarely right


def test_a_calibrated_network_decides_by_cost_as_theory_says() -> None:
    """Of probabilities that are right, the best threshold is c_fp / (c_fp + c_fn) (Elkan 2001)."""
    rng = np.random.default_rng(5)
    probability = rng.random(40_000)
    positive = rng.random(40_000) < probability
    found = CostPoint(false_negative=4, false_positive=1).choose(positive, probability)
    assert found.value == pytest.approx(0.2, abs=0.02)


def test_all_or_nothing_where_nothing_else_is_allowed() -> None:
    positive, probability = np.array([True, False]), np.array([0.2, 1.0])
    never = SpecificityPoint(at_least=1.0).choose(positive, probability)
    assert (never.tp, never.fp) == (0, 0)
    assert never.value > 1
    always = SensitivityPoint(at_least=1.0).choose(positive, probability)
    assert (always.fn, always.tn) == (0, 0)
    assert always.value == 0


def test_neighbouring_floats_are_parted_too() -> None:
    low = 0.3
    high = float(np.nextafter(low, 1))
    found = YoudenPoint().choose(np.array([True, False]), np.array([high, low]))
    assert (found.tp, found.fp) == (1, 0)
    assert low < found.value <= high
