"""Scores of groups against plain sums over their rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hilum.errors import DataError
from hilum.evaluation.groups import grouped, with_groups, worst_groups
from hilum.evaluation.intervals import Bootstrap
from hilum.evaluation.rows import CaseKey, Row, classification_row, read_rows, segmentation_rows, write_rows
from hilum.evaluation.summary import ONE_PATIENT, summarise
from hilum.evaluation.table import table
from hilum.metrics.auroc import AurocMetric
from hilum.metrics.dice import DiceMetric
from hilum.problem import Problem
from hilum.volume import Grid

TUMOUR = Problem("segmentation", 3, ("flair", "t1c"), ("background", "core", "edema"), values=((0,), (1,), (2,)))
HEADS = Problem("classification", 2, ("flair", "t1c"), ("healthy", "ill"), values=((0,), (1,)))
GRID = Grid((6, 6, 6), np.eye(4))
SUBSETS = ("flair+t1c", "flair", "flair+t1c", "t1c", "flair", "flair+t1c", "flair+t1c", "flair")


@pytest.fixture
def rows() -> list[Row]:
    """Eight patients, three subsets of modalities, predictions with errors."""
    rng = np.random.default_rng(3)
    found: list[Row] = []
    for number, subset in enumerate(SUBSETS):
        truth = rng.integers(0, 3, GRID.shape)
        predicted = np.where(rng.random(GRID.shape) < 0.2, 0, truth)
        key = CaseKey(f"{number:03}", f"p{number}", "val", {"modalities": subset})
        found += segmentation_rows(key, truth, predicted=predicted, problem=TUMOUR, grid=GRID, metrics=[DiceMetric()])
    return found


def summary_of(rows: list[Row]) -> dict[str, object]:
    whole = summarise(rows, TUMOUR, metrics=[DiceMetric()], bootstrap=Bootstrap(50))
    return with_groups(whole, rows, TUMOUR, columns=["modalities"], metrics=[DiceMetric()], bootstrap=Bootstrap(50))


def test_groups_are_ordered_by_patients_and_keep_every_row(rows: list[Row]) -> None:
    groups = grouped(rows, "modalities")
    assert list(groups) == ["flair+t1c", "flair", "t1c"]
    assert sum(len(members) for members in groups.values()) == len(rows)


def test_each_group_has_the_scores_of_its_rows(rows: list[Row]) -> None:
    by = summary_of(rows)["by"]["modalities"]  # type: ignore[index]
    assert {name: (entry["patients"], entry["cases"]) for name, entry in by.items()} == {
        "flair+t1c": (4, 4),
        "flair": (3, 3),
        "t1c": (1, 1),
    }
    for subset, entry in by.items():
        means = {}
        for name in TUMOUR.foreground:
            values = [float(row["dice"] or 0) for row in rows if row["modalities"] == subset and row["class"] == name]
            means[name] = np.mean(values)
            assert entry["classes"][name]["dice"]["value"] == pytest.approx(means[name])
        score = entry["overall"]["dice"]
        assert score["value"] == pytest.approx(np.mean(list(means.values())))
        assert score["low"] is None if subset == "t1c" else score["low"] < score["value"] < score["high"]
    assert ONE_PATIENT in by["t1c"]["notes"]


def test_all_together_are_scored_as_without_groups(rows: list[Row]) -> None:
    whole = summarise(rows, TUMOUR, metrics=[DiceMetric()], bootstrap=Bootstrap(50))
    summary = summary_of(rows)
    assert {key: summary[key] for key in whole if key != "notes"} == {k: v for k, v in whole.items() if k != "notes"}
    assert summary["notes"][:-1] == whole["notes"]  # type: ignore[index]
    assert "other patients in each" in summary["notes"][-1]  # type: ignore[index]
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    nothing = with_groups(whole, rows, TUMOUR, columns=(), metrics=[DiceMetric()])
    assert nothing == whole


def test_the_table_shows_every_group(rows: list[Row]) -> None:
    lines = table(summary_of(rows))
    header = next(number for number, line in enumerate(lines) if line.startswith("by modalities"))
    assert lines[header].split() == ["by", "modalities", "patients", "cases", "dice"]
    assert [line.split()[:3] for line in lines[header + 1 : header + 4]] == [
        ["flair+t1c", "4", "4"],
        ["flair", "3", "3"],
        ["t1c", "1", "1"],
    ]
    assert lines[header + 4] == f"note: t1c: {ONE_PATIENT}"


def test_a_subset_reads_back_as_text(rows: list[Row], tmp_path: Path) -> None:
    write_rows(tmp_path / "cases.csv", rows)
    assert read_rows(tmp_path / "cases.csv") == rows
    assert list(rows[0])[:4] == ["case_id", "patient_id", "part", "modalities"]


def test_a_classification_by_group() -> None:
    rng = np.random.default_rng(1)
    truth, score = rng.integers(0, 2, 24), rng.random(24).round(2)
    subset = ["flair" if number % 3 else "t1c" for number in range(24)]
    rows = [
        classification_row(
            CaseKey(f"c{k}", f"p{k}", "val", {"modalities": subset[k]}),
            int(truth[k]),
            probabilities=np.array([1 - score[k], score[k]]),
            problem=HEADS,
        )
        for k in range(24)
    ]
    metrics = [AurocMetric()]
    whole = summarise(rows, HEADS, metrics=metrics, bootstrap=None)
    by = with_groups(whole, rows, HEADS, columns=["modalities"], metrics=metrics, bootstrap=None)["by"]["modalities"]
    for name in ("flair", "t1c"):
        chosen = [k for k in range(24) if subset[k] == name]
        assert by[name]["overall"]["auroc"]["value"] == pytest.approx(roc_auc_score(truth[chosen], score[chosen]))


def test_the_worst_group_of_every_score_is_named_with_its_size(rows: list[Row]) -> None:
    by_site = [{**row, "by_site": "AB"[int(str(row["patient_id"])[1:]) % 2]} for row in rows]
    spoilt = [{**row, "dice": float(row["dice"] or 0) / 2} if row["by_site"] == "B" else row for row in by_site]
    whole = summarise(spoilt, TUMOUR, metrics=[DiceMetric()], bootstrap=Bootstrap(50))
    columns = ["by_site", "modalities"]
    summary = with_groups(whole, spoilt, TUMOUR, columns=columns, metrics=[DiceMetric()], bootstrap=Bootstrap(50))
    assert list(summary["by"]) == ["site", "modalities"]
    worst = summary["worst"]["site"]["dice"]
    assert (worst["group"], worst["patients"], worst["cases"]) == ("B", 4, 4)
    assert worst["value"] == summary["by"]["site"]["B"]["overall"]["dice"]["value"]
    line = next(line for line in table(summary) if line.startswith("worst by site"))
    assert line.startswith(f"worst by site: dice {worst['value']:.3f} [")
    assert line.endswith("in B (4 patients)")
    assert summary["worst"]["modalities"]["dice"]["group"] != "t1c"  # one patient is no group


def test_of_distances_the_longest_is_the_worst() -> None:
    facts = {"hd95": {"better": "lower"}, "volume": {"better": None}}
    entry = {"patients": 3, "cases": 3}
    score = {"low": None, "high": None}
    groups = {
        name: {**entry, "overall": {"hd95": {"value": value, **score}, "volume": {"value": value, **score}}}
        for name, value in (("near", 2.0), ("far", 9.0), ("unknown", None))
    }
    assert {name: found["group"] for name, found in worst_groups(groups, facts).items()} == {"hd95": "far"}


def test_a_column_that_is_not_there_is_named(rows: list[Row]) -> None:
    with pytest.raises(DataError, match="no column 'scanner'"):
        grouped(rows, "scanner")
