"""Classification scores in closed form, and where they are undefined."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.metrics.accuracy import AccuracyMetric
from hilum.metrics.auroc import AurocMetric
from hilum.metrics.balanced_accuracy import BalancedAccuracyMetric
from hilum.metrics.f1 import F1Metric

BINARY = ("healthy", "ill")


def binary(*scores: float) -> np.ndarray:
    return np.array([[1 - score, score] for score in scores])


def test_scores_of_five_cases_by_hand() -> None:
    truth, probabilities = np.array([0, 0, 0, 1, 1]), binary(0.1, 0.2, 0.7, 0.6, 0.9)
    assert AccuracyMetric().score(truth, probabilities, BINARY) == {"accuracy": 0.8}
    assert BalancedAccuracyMetric().score(truth, probabilities, BINARY)["balanced_accuracy"] == pytest.approx(5 / 6)
    assert AurocMetric().score(truth, probabilities, BINARY) == {"auroc": pytest.approx(5 / 6)}
    f1 = F1Metric().score(truth, probabilities, BINARY)
    assert f1 == {"f1": pytest.approx(0.8), "f1_healthy": pytest.approx(0.8), "f1_ill": pytest.approx(0.8)}


def test_equal_scores_rank_half() -> None:
    assert AurocMetric().score(np.array([0, 1, 1, 0]), binary(0.5, 0.5, 0.5, 0.5), BINARY) == {"auroc": 0.5}


def test_auroc_of_one_class_is_undefined() -> None:
    assert np.isnan(AurocMetric().score(np.array([1, 1]), binary(0.2, 0.4), BINARY)["auroc"])


def test_a_class_that_never_occurs_is_left_out_of_means() -> None:
    truth = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.8, 0.1, 0.1], [0.3, 0.5, 0.2], [0.1, 0.9, 0.0], [0.2, 0.7, 0.1]])
    auroc = AurocMetric().score(truth, probabilities, ("a", "b", "c"))
    assert np.isnan(auroc["auroc_c"])
    assert auroc["auroc"] == (auroc["auroc_a"] + auroc["auroc_b"]) / 2
    assert BalancedAccuracyMetric().score(truth, probabilities, ("a", "b", "c"))["balanced_accuracy"] == 0.75
