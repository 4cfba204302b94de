"""The table and the picture of a sweep."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hilum.report.sweep import Drawn, TrialRow, best_of, draw_sweep, write_trials


def row(trial: int, state: str, value: float | None, **setting: Any) -> TrialRow:
    return TrialRow(
        trial, state, value, 3, 5, 1.5, setting, f"trials/{trial:04d}", "out of, memory" * (state == "failed")
    )


ROWS = [
    row(0, "complete", 0.1 + 0.2, lr=1e-05, loss="dice"),
    row(1, "pruned", 0.9, lr=0.1, loss="dice_ce"),
    row(2, "complete", 0.7, lr=0.003, loss="dice_ce"),
    row(3, "failed", None, lr=0.5, loss="dice"),
    row(4, "complete", 0.7, lr=0.004, loss="dice"),
    row(5, "unfinished", None, lr=0.004, loss="dice"),
]


def test_the_best_is_the_earliest_of_the_best_complete_ones() -> None:
    best, least = best_of(ROWS, higher=True), best_of(ROWS, higher=False)
    assert best is not None
    assert least is not None
    assert (best.trial, least.trial) == (2, 0)
    assert best_of(ROWS[1:2], higher=True) is None


def test_the_table_reads_back(tmp_path: Path) -> None:
    write_trials(ROWS, ["lr", "loss"], tmp_path / "t.csv", text=lambda value: str(json.loads(json.dumps(value))))
    with (tmp_path / "t.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [int(line["trial"]) for line in read] == [one.trial for one in ROWS]
    assert [float(line["value"] or "nan") for line in read if line["value"]] == [r.value for r in ROWS if r.value]
    assert [float(line["lr"]) for line in read] == [one.setting["lr"] for one in ROWS]
    assert read[3]["reason"] == "out of, memory"
    assert read[3]["value"] == ""


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], ROWS[3:4], ROWS[5:]], ids=["all", "one", "failed", "unfinished"])
def test_the_picture_is_drawn_whatever_came_of_the_trials(rows: list[TrialRow], tmp_path: Path) -> None:
    names = ("dice", "dice_ce")
    axes = [Drawn("lr", log=True), Drawn("loss", names=names, place=lambda value: float(names.index(value)))]
    importance = {"lr": 0.8, "loss": 0.2} if len(rows) > 1 else {}
    draw_sweep(rows, axes, tmp_path / "s.png", score="dice", higher=True, importance=importance)
    with Image.open(tmp_path / "s.png") as picture:
        width, height = picture.size
    assert math.isclose(width / height, 3.3 * 3 / (2.6 * (2 if importance else 1)), rel_tol=0.2)
