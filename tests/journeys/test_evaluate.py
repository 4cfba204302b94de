"""Evaluating: the same rows each time, and every look at the test patients on record."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.journeys.conftest import Hilum, parts, read_csv, read_json


def test_looks_at_the_test_part_are_counted(command: Hilum, hilum: Hilum, own_run: Path) -> None:
    before = (own_run / "cases.csv").read_bytes()
    val = read_json(own_run / "summary.json")["val"]
    assert hilum("evaluate", own_run).code == 0
    assert (own_run / "cases.csv").read_bytes() == before
    assert read_json(own_run / "summary.json")["val"] == val
    assert not (own_run / "test_ledger.jsonl").exists()
    first = command("evaluate", own_run, "--part", "test")
    assert first.code == 0, first.text
    assert "looked at once" in first.out
    second = hilum("evaluate", own_run, "--part", "test")
    assert "looked at 2 times" in second.out
    assert hilum("evaluate", own_run, "--part", "test", "predict.overlap=0.25").code == 0
    looks = [json.loads(line) for line in (own_run / "test_ledger.jsonl").read_text().splitlines()]
    assert [look["overrides"] for look in looks] == [[], [], ["predict.overlap=0.25"]]
    assert looks[0]["scores"] == looks[1]["scores"]
    rows = read_csv(own_run / "cases.csv")
    found = {part: {row["case_id"] for row in rows if row["part"] == part} for part in ("val", "test")}
    assert found == {part: ids for part, ids in parts(own_run).items() if part != "train"}
    assert len(rows) == 2 * (len(found["val"]) + len(found["test"]))
    assert read_json(own_run / "summary.json")["val"] == val
    assert (own_run / "cases_test.png").stat().st_size > 1000


def test_the_mean_is_that_of_the_rows(hilum: Hilum, own_run: Path) -> None:
    """The printed means and the ledger's scores follow from cases.csv by numpy alone."""
    assert hilum("evaluate", own_run, "--part", "test").code == 0
    rows = [row for row in read_csv(own_run / "cases.csv") if row["part"] == "test"]
    means = [np.mean([float(row["dice"]) for row in rows if row["class"] == name]) for name in ("organ", "lesion")]
    look = json.loads((own_run / "test_ledger.jsonl").read_text())
    assert look["scores"]["dice"] == pytest.approx(np.mean(means), abs=1e-9)


def test_a_split_edited_after_training_is_refused(hilum: Hilum, own_run: Path) -> None:
    table = own_run / "split.csv"
    lines = table.read_text().splitlines()
    victim = next(line for line in lines if ",test," in line)
    patient = victim.split(",")[1]
    moved = [line.replace(",test,", ",train,") if f",{patient}," in line else line for line in lines]
    table.write_text("\n".join(moved) + "\n")
    hilum("evaluate", own_run, "--part", "test").refuses("split.csv")
    assert not (own_run / "test_ledger.jsonl").exists()


def test_a_patient_moved_by_hand_is_refused(hilum: Hilum, own_run: Path) -> None:
    table = own_run / "split.csv"
    table.write_text(table.read_text().replace(",val,", ",test,", 1))
    refused = hilum("evaluate", own_run)
    refused.refuses()


def test_mistakes_are_messages(hilum: Hilum, own_run: Path, tmp_path: Path) -> None:
    hilum("evaluate", own_run, "--part", "tset").refuses("tset", "test")
    hilum("evaluate", own_run.with_name("tinny")).refuses("is not a run folder", "tiny")
    hilum("evaluate", tmp_path / "absent").refuses("no such folder")
    hilum("evaluate", own_run, "predict.overlp=0.3").refuses("predict.overlp", "overlap")
    hilum("evaluate", own_run, "data.prepare=[]").refuses("data.prepare")
    (own_run / "checkpoints" / "best.pt").write_bytes(b"PK no weights")
    hilum("evaluate", own_run).refuses("best.pt")
    for file in (own_run / "checkpoints").iterdir():
        file.unlink()
    hilum("evaluate", own_run).refuses("no such checkpoint")


def test_scores_under_other_settings_say_so(hilum: Hilum, own_run: Path) -> None:
    done = hilum("evaluate", own_run, "predict.overlap=0.25")
    assert done.code == 0, done.text
    assert "note: scored with other settings than those of the run: predict.overlap=0.25" in done.out


def test_a_missing_best_checkpoint_is_not_replaced_by_the_last(hilum: Hilum, own_run: Path) -> None:
    (own_run / "checkpoints" / "best.pt").unlink()
    hilum("evaluate", own_run).refuses("best.pt is missing")
