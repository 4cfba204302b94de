"""Rows decided by an operating point, and which scores follow the decision."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score

from hilum.evaluation.decision import OperatingPoint, decided, sees_decisions_only
from hilum.evaluation.operating_points.base import Threshold
from hilum.evaluation.rows import CaseKey, Row, classification_row
from hilum.evaluation.summary import summarise
from hilum.metrics.auroc import AurocMetric
from hilum.metrics.base import CohortMetric
from hilum.metrics.f1 import F1Metric
from hilum.metrics.nll import NllMetric
from hilum.problem import Problem
from hilum.registry import kinds

LUNGS = Problem("classification", 2, ("grey",), ("normal", "ill"), values=((0,), (1,)))
GRADES = Problem("classification", 2, ("grey",), ("a", "b", "c"), values=((0,), (1,), (2,)))
SEES_PROBABILITIES = {
    *("adaptive_ece", "auroc", "average_precision", "brier", "ece", "nll", "partial_auroc"),
    *("sensitivity_at_specificity", "specificity_at_sensitivity"),
}


def point(positive: str, threshold: float) -> OperatingPoint:
    return OperatingPoint(positive, Threshold(threshold, tp=9, fp=2, fn=1, tn=8), {"kind": "youden"})


def row(problem: Problem, *probabilities: float, truth: int = 0, case: str = "1") -> Row:
    return classification_row(CaseKey(case, case, "val"), truth, probabilities=np.array(probabilities), problem=problem)


def test_a_row_is_decided_by_its_threshold() -> None:
    before = row(LUNGS, 0.7, 0.3)
    after = decided(before, point("ill", 0.25), LUNGS.classes)
    assert list(after) == ["case_id", "patient_id", "part", "truth", "predicted", "threshold", "p_normal", "p_ill"]
    assert (before["predicted"], after["predicted"], after["threshold"]) == ("normal", "ill", 0.25)
    assert decided(before, point("ill", 0.3), LUNGS.classes)["predicted"] == "ill"  # reached
    assert decided(before, point("ill", 0.31), LUNGS.classes)["predicted"] == "normal"
    assert decided(after, None, LUNGS.classes) == before
    assert decided(after, point("ill", 0.25), LUNGS.classes) == after


def test_one_against_the_rest_leaves_the_rest_to_the_likeliest() -> None:
    of_b = point("b", 0.2)
    assert decided(row(GRADES, 0.5, 0.25, 0.25), of_b, GRADES.classes)["predicted"] == "b"
    assert decided(row(GRADES, 0.45, 0.1, 0.45), of_b, GRADES.classes)["predicted"] == "a"  # the first of equals
    assert decided(row(GRADES, 0.1, 0.15, 0.75), of_b, GRADES.classes)["predicted"] == "c"
    assert decided(row(GRADES, 0.1, 0.6, 0.3), point("b", 0.7), GRADES.classes)["predicted"] == "c"


def test_a_point_comes_back_from_json() -> None:
    made = point("ill", 1 / 3)
    assert OperatingPoint.from_record(json.loads(json.dumps(made.record))) == made
    assert "sensitivity 0.900, 9 of 10, and specificity 0.800, 8 of 10" in made.described


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c", "d")], ids=len)
def test_metrics_are_told_apart_by_what_they_look_at(classes: tuple[str, ...]) -> None:
    made = {kind: cls() for kind, cls in kinds("metrics").items() if cls.__module__.startswith("hilum.")}
    metrics = {kind: metric for kind, metric in made.items() if isinstance(metric, CohortMetric)}
    assert {kind for kind, one in metrics.items() if not sees_decisions_only(one, classes)} == SEES_PROBABILITIES


def test_scores_of_decisions_follow_the_threshold_and_others_do_not() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 60)
    share = np.clip(rng.normal(0.2 + 0.3 * truth, 0.15), 0.01, 0.99)
    rows = [
        decided(row(LUNGS, 1 - p, p, truth=t, case=str(k)), point("ill", 0.3), LUNGS.classes)
        for k, (t, p) in enumerate(zip(truth, share, strict=True))
    ]
    metrics = (AurocMetric(), F1Metric(), NllMetric())
    summary = summarise(rows, LUNGS, metrics=metrics)
    found = {name: score["value"] for name, score in summary["overall"].items()}
    assert found["f1_ill"] == pytest.approx(f1_score(truth, share >= 0.3))
    assert found["auroc"] == pytest.approx(roc_auc_score(truth, share))
    assert found["nll"] == pytest.approx(-np.log(np.where(truth == 1, share, 1 - share)).mean())
    assert summary["confusion"] == confusion_matrix(truth, share >= 0.3).tolist()
    assert summary["overall"]["f1_ill"]["low"] < found["f1_ill"] < summary["overall"]["f1_ill"]["high"]
