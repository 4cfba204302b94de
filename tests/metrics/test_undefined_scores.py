"""Scores of a classifier that have no value are NaN with a reason, and never 0 or 1 by convention."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.metrics.base import CohortMetric
from hilum.metrics.confusion import ClassCounts
from hilum.metrics.kappa import KappaMetric
from hilum.metrics.mcc import MccMetric
from hilum.metrics.ratios import RATIOS, prevalence_threshold
from hilum.registry import kinds

CLASSES = ("healthy", "ill")


def score(kind: str, truth: list[int], predicted: list[int]) -> float:
    """That of the class `ill`, with certain predictions."""
    metric = kinds("metrics")[kind]()
    assert isinstance(metric, CohortMetric)
    return metric.score(np.array(truth), np.eye(2)[predicted], CLASSES)[metric.column]


@pytest.mark.parametrize(
    ("truth", "predicted", "undefined"),
    [
        ([0, 0, 0], [0, 1, 0], {"sensitivity", "fnr", "fowlkes_mallows", "informedness", "lr_positive", "lr_negative"}),
        ([1, 1, 1], [0, 1, 0], {"specificity", "fpr", "informedness", "lr_positive", "lr_negative"}),
        ([0, 1, 1], [0, 0, 0], {"precision", "fdr", "markedness", "fowlkes_mallows", "lr_positive"}),
        ([0, 0, 1], [1, 1, 1], {"npv", "for", "markedness", "lr_negative"}),
        ([0, 0, 0], [0, 0, 0], {"threat_score", "sensitivity", "fnr", "precision", "fdr", "fowlkes_mallows"}),
        ([0, 0, 1, 1], [0, 0, 0, 1], {"lr_positive", "diagnostic_odds_ratio"}),
        ([0, 0, 1, 1], [0, 1, 0, 1], set()),
    ],
)
def test_what_has_nothing_to_divide_by_is_undefined(
    truth: list[int], predicted: list[int], undefined: set[str]
) -> None:
    asked = {entry.kind for entry in RATIOS} | {"precision"}
    found = {kind for kind in asked if np.isnan(score(kind, truth, predicted))}
    assert undefined <= found
    one_sided = len(set(truth)) == 1 or len(set(predicted)) == 1
    assert one_sided or found == undefined


def test_every_score_that_can_be_undefined_says_when() -> None:
    assert [entry.kind for entry in RATIOS if not entry.undefined] == ["tp", "fp", "fn", "tn", "prevalence"]
    assert MccMetric.undefined
    assert np.isnan(score("mcc", [0, 1, 1], [0, 0, 0]))
    assert KappaMetric.undefined
    assert np.isnan(score("kappa", [1, 1], [1, 1]))


def test_prevalence_threshold_is_balaylas_where_that_can_be_computed() -> None:
    rng = np.random.default_rng(0)
    tp, fp, fn, tn = rng.integers(1, 30, (4, 50, 2)).astype(float)
    true_rate, false_rate = tp / (tp + fn), fp / (fp + tn)
    apart = ~np.isclose(true_rate, false_rate)
    theirs = (np.sqrt(true_rate * false_rate) - false_rate)[apart] / (true_rate - false_rate)[apart]
    assert prevalence_threshold(ClassCounts(tp, fp, fn, tn))[apart] == pytest.approx(theirs)
