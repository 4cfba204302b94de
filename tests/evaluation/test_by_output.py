"""Scores of findings and numbers against scikit-learn, one by one; unknown truths left out, units kept apart."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from hilum.errors import DataError
from hilum.evaluation.intervals import Bootstrap
from hilum.evaluation.rows import CaseKey, Row, image_row
from hilum.evaluation.summary import overall, summarise
from hilum.evaluation.table import table
from hilum.metrics.auroc import AurocMetric
from hilum.metrics.average_precision import AveragePrecisionMetric
from hilum.metrics.base import MetricConfig
from hilum.metrics.f1 import F1Metric
from hilum.metrics.mae import MaeMetric
from hilum.metrics.precision import PrecisionMetric
from hilum.metrics.r2 import R2Metric
from hilum.problem import IGNORE, Problem

NAMES = ("edema", "effusion", "nodule")
FINDINGS = Problem("multilabel", 2, ("image",), NAMES, tuple((name,) for name in NAMES), exclusive=False)
METRICS: tuple[MetricConfig, ...] = (AurocMetric(), AveragePrecisionMetric(), F1Metric(), PrecisionMetric())
FEW = Bootstrap(resamples=200)


def numbers_in(*units: str) -> Problem:
    names = tuple(f"n{number}" for number in range(len(units)))
    return Problem("regression", 2, ("image",), names, ((),) * len(units), exclusive=False, units=units)


def cohort(seed: int) -> tuple[np.ndarray, np.ndarray, list[Row]]:
    """Forty cases of thirty patients."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, (40, 3)).astype(np.int8)
    likely = np.clip(0.3 * truth + rng.uniform(0, 0.8, (40, 3)), 0, 1).round(2)
    rows = [
        image_row(CaseKey(f"c{case}", f"p{case % 30}", "val"), truth[case], answers=likely[case], problem=FINDINGS)
        for case in range(40)
    ]
    return truth, likely, rows


@pytest.mark.parametrize("seed", range(3))
def test_each_finding_and_their_mean_as_scikit_learn_has_them(seed: int) -> None:
    truth, likely, rows = cohort(seed)
    found = overall(summarise(rows, FINDINGS, metrics=METRICS, bootstrap=None))
    decided = likely > 0.5
    oracles = {
        "auroc": sklearn_metrics.roc_auc_score(truth, likely, average=None),
        "average_precision": sklearn_metrics.average_precision_score(truth, likely, average=None),
        "f1": sklearn_metrics.f1_score(truth, decided, average=None),
        "precision": sklearn_metrics.precision_score(truth, decided, average=None),
    }
    expected = {name: float(np.mean(values)) for name, values in oracles.items()}
    expected |= {
        f"{name}_{finding}": float(value)
        for name, values in oracles.items()
        for finding, value in zip(NAMES, values, strict=True)
    }
    assert found == pytest.approx(expected)


def test_unknown_truths_are_left_out_and_said() -> None:
    truth, likely, _ = cohort(0)
    truth[5:20, 1] = IGNORE
    rows = [
        image_row(CaseKey(f"c{case}", f"p{case}", "val"), truth[case], answers=likely[case], problem=FINDINGS)
        for case in range(40)
    ]
    summary = summarise(rows, FINDINGS, metrics=[AurocMetric()], bootstrap=FEW)
    known = truth[:, 1] != IGNORE
    expected = sklearn_metrics.roc_auc_score(truth[known, 1], likely[known, 1])
    assert summary["overall"]["auroc_effusion"]["value"] == pytest.approx(expected)
    assert summary["classes"]["effusion"]["cases"] == 25
    assert any("effusion 15" in note for note in summary["notes"])


def test_a_finding_that_never_occurs_is_undefined_and_no_part_of_the_mean() -> None:
    truth, likely, _ = cohort(1)
    truth[:, 2] = 0
    rows = [
        image_row(CaseKey(f"c{case}", f"p{case}", "val"), truth[case], answers=likely[case], problem=FINDINGS)
        for case in range(40)
    ]
    summary = summarise(rows, FINDINGS, metrics=[AurocMetric()], bootstrap=FEW)
    expected = sklearn_metrics.roc_auc_score(truth[:, :2], likely[:, :2])
    assert summary["overall"]["auroc"]["value"] == pytest.approx(expected)
    assert summary["overall"]["auroc_nodule"]["value"] is None
    assert "undefined" in summary["overall"]["auroc_nodule"]["note"]
    assert any("nodule" in note for note in summary["notes"])


def test_intervals_draw_patients_and_areas_of_findings_have_a_formula() -> None:
    _, _, rows = cohort(2)
    found = summarise(rows, FINDINGS, metrics=METRICS, bootstrap=FEW)["overall"]
    assert found["auroc_edema"]["method"] == "delong"
    assert found["precision_edema"]["method"] == "wilson"
    assert found["auroc"]["method"] == found["f1_edema"]["method"] == "bca"
    assert all(entry["low"] <= entry["value"] <= entry["high"] for entry in found.values())


def test_decisions_in_the_rows_are_those_that_are_scored() -> None:
    key = CaseKey("c", "p", "val")
    row = image_row(key, np.array([1, 0, IGNORE], np.int8), answers=np.array([0.5, 0.51, 0.2]), problem=FINDINGS)
    assert (row["predicted_edema"], row["predicted_effusion"]) == (0, 1)
    assert (row["truth_edema"], row["truth_nodule"]) == (1, None)


def regression_rows(truth: np.ndarray, predicted: np.ndarray, problem: Problem) -> list[Row]:
    return [
        image_row(CaseKey(f"c{case}", f"p{case}", "val"), truth[case], answers=predicted[case], problem=problem)
        for case in range(len(truth))
    ]


def test_numbers_of_different_units_have_no_mean_error_but_one_of_shares() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(50, 10, (30, 2))
    predicted = truth + rng.normal(0, 3, (30, 2))
    problem = numbers_in("years", "ml")
    summary = summarise(
        regression_rows(truth, predicted, problem), problem, metrics=[MaeMetric(), R2Metric()], bootstrap=FEW
    )
    found = summary["overall"]
    assert found["mae"]["value"] is None
    assert "units" in found["mae"]["note"]
    for number, name in enumerate(problem.classes):
        expected = sklearn_metrics.mean_absolute_error(truth[:, number], predicted[:, number])
        assert found[f"mae_{name}"]["value"] == pytest.approx(expected)
    assert found["r2"]["value"] == pytest.approx(sklearn_metrics.r2_score(truth, predicted))
    assert MaeMetric().why_no_monitor(problem)
    assert not R2Metric().why_no_monitor(problem)
    text = "\n".join(table(summary))
    assert "n0 (years)" in text
    assert "n1 (ml)" in text


def test_one_number_has_its_unit_in_rows_and_table() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(50, 10, (30, 1))
    truth[3] = np.nan
    problem = numbers_in("years")
    rows = regression_rows(truth, np.nan_to_num(truth) + 2.5, problem)
    summary = summarise(rows, problem, metrics=[MaeMetric()], bootstrap=FEW)
    assert rows[0]["unit_n0"] == "years"
    assert rows[3]["truth_n0"] is None
    assert list(summary["overall"]) == ["mae"]
    assert summary["overall"]["mae"]["value"] == pytest.approx(2.5)
    assert summary["metrics"]["mae"]["unit"] == "years"
    assert summary["classes"]["n0"]["cases"] == 29


def test_rows_of_another_task_are_refused() -> None:
    with pytest.raises(DataError, match="no column 'truth_n0'"):
        summarise([{"case_id": "a", "patient_id": "p", "truth": "x"}], numbers_in("years"), metrics=[MaeMetric()])
