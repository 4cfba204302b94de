"""Summaries against plain sums, and that misses, inventions and undefined scores are never dropped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hilum.errors import ConfigError, DataError
from hilum.evaluation.intervals import Bootstrap
from hilum.evaluation.penalties import penalties
from hilum.evaluation.rows import CaseKey, Row, classification_row, read_rows, segmentation_rows, write_rows
from hilum.evaluation.summary import ONE_CLASS, ONE_PATIENT, UNITS_MIXED, overall, summarise
from hilum.evaluation.table import table
from hilum.metrics.accuracy import AccuracyMetric
from hilum.metrics.auroc import AurocMetric
from hilum.metrics.average_precision import AveragePrecisionMetric
from hilum.metrics.dice import DiceMetric
from hilum.metrics.f1 import F1Metric
from hilum.metrics.hd95 import Hd95Metric
from hilum.metrics.nsd import NsdMetric
from hilum.metrics.ratios import COUNT_RATIOS
from hilum.metrics.volume import AbsoluteVolumeErrorMetric, RelativeVolumeErrorMetric, VolumeMetric
from hilum.problem import Problem
from hilum.volume import Grid

ORGANS = Problem("segmentation", 3, ("T1",), ("background", "liver", "tumour"), values=((0,), (1,), (2,)))
LUNGS = Problem("classification", 2, ("grey",), ("normal", "pneumonia"), values=((0,), (1,)))
METRICS = (DiceMetric(), Hd95Metric(), NsdMetric())
CLASSIFIER = (AurocMetric(), AccuracyMetric(), F1Metric())
GRID = Grid((8, 8, 8), np.eye(4))


def segmented(num_cases: int = 10, *, missed: int = 0, unit: str = "mm") -> list[Row]:
    """Rows of cases, two a patient: a liver found with small errors, and a tumour, missed in the first `missed`."""
    rng = np.random.default_rng(0)
    rows: list[Row] = []
    for number in range(num_cases):
        truth = np.zeros(GRID.shape, dtype=np.uint8)
        truth[1:5, 1:6, 1:6] = 1
        truth[5:7, 2:4, 2:4] = 2
        predicted = np.where((rng.random(GRID.shape) < 0.1) & (truth == 1), 0, truth)
        if number < missed:
            predicted[predicted == 2] = 0
        grid = Grid(GRID.shape, GRID.affine, unit)  # type: ignore[arg-type]
        key = CaseKey(f"case{number}", f"patient{number // 2}", "val")
        rows += segmentation_rows(key, truth, predicted=predicted, problem=ORGANS, grid=grid, metrics=METRICS)
    return rows


def classified(truths: list[int], *, patients: int = 10) -> list[Row]:
    scores = np.random.default_rng(1).random(len(truths)).round(2)
    return [
        classification_row(
            CaseKey(f"{number:03}", f"p{number % patients}", "test"),
            truth,
            probabilities=np.array([1 - score, score]),
            problem=LUNGS,
        )
        for number, (truth, score) in enumerate(zip(truths, scores, strict=True))
    ]


def column(rows: list[Row], name: str, metric: str) -> list[float]:
    return [float(row[metric] or 0) for row in rows if row["class"] == name]


def test_means_medians_and_spreads_of_every_class() -> None:
    rows = segmented(missed=2)
    summary = summarise(rows, ORGANS, metrics=METRICS, bootstrap=None)
    for name in ("liver", "tumour"):
        for metric in ("dice", "hd95", "nsd"):
            values = column(rows, name, metric)
            score = summary["classes"][name][metric]
            assert score["value"] == pytest.approx(np.mean(values))
            assert score["median"] == pytest.approx(np.median(values))
            assert score["std"] == pytest.approx(np.std(values, ddof=1))
    means = [np.mean(column(rows, name, "dice")) for name in ("liver", "tumour")]
    assert overall(summary)["dice"] == pytest.approx(np.mean(means))


def test_who_was_scored_is_said() -> None:
    summary = summarise(segmented(), ORGANS, metrics=METRICS, notes=["patients unknown"], bootstrap=Bootstrap(20))
    assert (summary["patients"], summary["cases"], summary["unit"]) == (5, 10, "mm")
    assert summary["notes"][:-1] == ["patients unknown", penalties(METRICS)]
    assert "dice of tumour" in summary["notes"][-1]  # it is the same in every case
    assert "no certainty" in summary["notes"][-1]
    assert summary["interval"]["resamples"] == 20


@pytest.mark.parametrize("metric", ["dice", "hd95", "nsd"])
def test_missed_structures_are_counted_and_worsen_every_score(metric: str) -> None:
    none, half = (summarise(segmented(missed=missed), ORGANS, metrics=METRICS) for missed in (0, 5))
    counts = {key: half["classes"]["tumour"][key] for key in ("cases", "found", "missed", "invented", "absent")}
    assert counts == {"cases": 10, "found": 5, "missed": 5, "invented": 0, "absent": 0}
    sign = -1 if metric == "hd95" else 1
    for better, worse in (
        (none["classes"]["tumour"][metric], half["classes"]["tumour"][metric]),
        (none["overall"][metric], half["overall"][metric]),
    ):
        assert sign * better["value"] > sign * worse["value"]
        assert sign * better["low" if sign < 0 else "high"] >= sign * worse["low" if sign < 0 else "high"]


def test_intervals_hold_the_value_and_repeat_with_the_seed() -> None:
    first, again = (summarise(segmented(missed=3), ORGANS, metrics=METRICS) for _ in range(2))
    assert first == again
    for score in [*first["overall"].values(), first["classes"]["tumour"]["dice"]]:
        assert score["low"] < score["value"] < score["high"]


def test_the_summary_is_the_same_from_the_file_and_fits_json(tmp_path: Path) -> None:
    for rows, problem, metrics in (
        (segmented(missed=1), ORGANS, METRICS),
        (classified([0, 1] * 8), LUNGS, CLASSIFIER),
    ):
        write_rows(tmp_path / "cases.csv", rows)
        summary = summarise(read_rows(tmp_path / "cases.csv"), problem, metrics=metrics)
        assert summary == summarise(rows, problem, metrics=metrics)
        assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_one_patient_has_no_interval() -> None:
    summary = summarise(segmented(2), ORGANS, metrics=METRICS)
    assert summary["interval"] is None
    assert ONE_PATIENT in summary["notes"]
    assert summary["overall"]["dice"]["low"] is None


def test_units_that_mix_are_told() -> None:
    rows = segmented(4)
    other = [{**row, "case_id": f"x{row['case_id']}"} for row in segmented(4, unit="pixel")]
    summary = summarise([*rows, *other], ORGANS, metrics=METRICS, bootstrap=None)
    assert summary["unit"] == "mixed"
    assert UNITS_MIXED in summary["notes"]


def test_classification_scores_with_intervals() -> None:
    rows = classified([0, 1, 1, 0] * 10)
    summary = summarise(rows, LUNGS, metrics=CLASSIFIER)
    expected = roc_auc_score([row["truth"] == "pneumonia" for row in rows], [row["p_pneumonia"] for row in rows])
    score = summary["overall"]["auroc"]
    assert score["value"] == pytest.approx(expected)
    assert score["low"] < expected < score["high"]
    assert summary["classes"] == {"normal": {"cases": 20}, "pneumonia": {"cases": 20}}
    assert set(overall(summary)) == {"auroc", "accuracy", "f1", "f1_normal", "f1_pneumonia"}


def test_auroc_of_one_class_is_said_to_be_undefined() -> None:
    summary = summarise(classified([1] * 12), LUNGS, metrics=CLASSIFIER)
    assert summary["overall"]["auroc"] == {"value": None, "low": None, "high": None, "note": ONE_CLASS}
    assert np.isnan(overall(summary)["auroc"])
    assert summary["overall"]["accuracy"]["value"] is not None
    assert any("no case of normal" in note for note in summary["notes"])
    assert any(ONE_CLASS in line for line in table(summary))


def test_resamples_that_lack_a_class_are_counted() -> None:
    bootstrap = Bootstrap(1000, method="bca")
    summary = summarise(classified([1] + [0] * 9), LUNGS, metrics=[AurocMetric()], bootstrap=bootstrap)
    without = (1 - 1 / 10) ** 10
    assert summary["overall"]["auroc"]["resamples_undefined"] == pytest.approx(1000 * without, abs=60)
    closed = summarise(classified([1] + [0] * 9), LUNGS, metrics=[AurocMetric()])
    assert closed["overall"]["auroc"]["low"] is None
    assert any("auroc: no interval: it needs cases of the class" in note for note in closed["notes"])


def test_scores_a_user_left_undefined_are_counted() -> None:
    rows = segmented(4)
    rows[0] = {**rows[0], "dice": float("nan")}
    summary = summarise(rows, ORGANS, metrics=[DiceMetric()], bootstrap=None)
    assert "dice: undefined in 1 row, left out of its mean" in summary["notes"]
    score = summary["classes"]["liver"]["dice"]
    assert score["undefined"] == 1
    assert score["value"] == pytest.approx(np.mean(column(rows, "liver", "dice")[1:]))


def test_rows_that_do_not_belong_are_refused() -> None:
    rows = segmented(4)
    for wrong, message in (
        ([], "no rows"),
        ([*rows, rows[0]], "class 'liver': occurs twice"),
        (rows[1:], "received 7 rows of 4 cases"),
        ([{**rows[0], "class": "spleen"}], "class 'spleen': expected one of liver, tumour"),
        ([{key: value for key, value in row.items() if key != "dice"} for row in rows], "no column 'dice'"),
    ):
        with pytest.raises(DataError, match=message):
            summarise(wrong, ORGANS, metrics=METRICS)
    cases = classified([0, 1])
    for wrong, message in (
        ([*cases, cases[0]], "one row a case"),
        ([{**cases[0], "truth": "flu"}], "true class 'flu'"),
    ):
        with pytest.raises(DataError, match=message):
            summarise(wrong, LUNGS, metrics=CLASSIFIER)


def test_rightly_empty_cases_do_not_hide_how_well_a_present_structure_is_found() -> None:
    rows = segmented(4)
    empty = np.zeros(GRID.shape, dtype=np.uint8)
    rows += segmentation_rows(
        CaseKey("healthy", "patient9", "val"), empty, predicted=empty, problem=ORGANS, grid=GRID, metrics=METRICS
    )
    summary = summarise(rows, ORGANS, metrics=METRICS, bootstrap=None)
    present = summary["classes"]["liver"]["where_present"]
    assert present["cases"] == 4
    assert present["dice"]["value"] == pytest.approx(np.mean(column(rows, "liver", "dice")[:4]))
    assert any(line.startswith("liver where present") for line in table(summary))
    assert "where_present" not in summarise(segmented(4), ORGANS, metrics=METRICS, bootstrap=None)["classes"]["liver"]


def test_penalties_are_told_of_the_scores_that_were_asked_for() -> None:
    volumes = (VolumeMetric(), RelativeVolumeErrorMetric())
    assert penalties((*METRICS, *volumes)) == (
        "missed (in the truth only) and invented (predicted only) structures count in every mean: dice, nsd 0; "
        "hd95 the diagonal of the image; rightly absent ones: dice, nsd 1; hd95 0"
    )
    assert penalties(volumes).endswith("count in every mean")


def test_volumes_have_their_own_unit_and_say_where_they_are_undefined() -> None:
    metrics = (AbsoluteVolumeErrorMetric(), RelativeVolumeErrorMetric())
    rows: list[Row] = []
    for number, (true, predicted) in enumerate([(0, 3), (4, 3), (2, 0), (0, 0)]):
        masks = [np.zeros(GRID.shape, dtype=np.uint8) for _ in range(2)]
        for mask, length in zip(masks, (true, predicted), strict=True):
            mask[:length, 0, 0] = 1
        key = CaseKey(f"case{number}", f"patient{number}", "val")
        rows += segmentation_rows(key, masks[0], predicted=masks[1], problem=ORGANS, grid=GRID, metrics=metrics)
    summary = summarise(rows, ORGANS, metrics=metrics, bootstrap=None)
    liver = summary["classes"]["liver"]
    assert liver["absolute_volume_error"]["value"] == pytest.approx((3 + 1 + 2) / 4 / 1000)
    assert liver["relative_volume_error"]["value"] == pytest.approx((-0.25 - 1 + 0) / 3)
    assert liver["relative_volume_error"]["undefined"] == 1
    assert "relative_volume_error: undefined in 1 row, left out of its mean: invented" in " ".join(summary["notes"])
    facts = summary["metrics"]
    assert (facts["absolute_volume_error"]["unit"], facts["absolute_volume_error"]["better"]) == ("ml", "lower")
    assert (facts["relative_volume_error"]["unit"], facts["relative_volume_error"]["better"]) == ("", None)
    assert "absolute_volume_error (ml)" in "\n".join(table(summary))


def test_counts_of_a_classifier_are_those_of_its_rows() -> None:
    rows = classified([0, 1, 1, 0] * 5)
    counts = summarise(rows, LUNGS, metrics=[AccuracyMetric()], bootstrap=None)["confusion"]
    names = LUNGS.classes
    assert counts == [
        [sum((row["truth"], row["predicted"]) == (true, predicted) for row in rows) for predicted in names]
        for true in names
    ]


def test_a_score_without_a_value_says_why() -> None:
    precision_like = [cls() for cls in COUNT_RATIOS if cls.kind in ("fdr", "lr_positive")]
    rows = [{**row, "predicted": "normal", "p_pneumonia": 0.1, "p_normal": 0.9} for row in classified([0, 1] * 6)]
    summary = summarise(rows, LUNGS, metrics=precision_like, bootstrap=None)
    assert summary["overall"]["fdr"]["note"] == "undefined: the class was never predicted"
    assert summary["overall"]["fdr_normal"]["value"] == pytest.approx(0.5)
    assert "no false positive to divide by" in summary["overall"]["lr_positive"]["note"]


def test_two_scores_of_one_name_are_refused() -> None:
    awkward = Problem("classification", 2, ("grey",), classes=("micro", "other"), values=((0,), (1,)))
    micro: Row = {"truth": "micro", "predicted": "micro", "p_micro": 0.5, "p_other": 0.5}
    rows: list[Row] = [{**row, **micro} for row in classified([0, 1] * 4)]
    metrics = [AveragePrecisionMetric(), AveragePrecisionMetric(average="micro")]
    with pytest.raises(ConfigError, match="two of them write 'average_precision_micro'"):
        summarise(rows, awkward, metrics=metrics, bootstrap=None)
