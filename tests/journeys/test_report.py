"""The report of a real run: pictures of its cases, a file that stands alone, and what it is without data or scores."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from tests.journeys.conftest import Hilum, read_csv, read_json
from tests.report.page.conftest import parsed

FIRST = ("worst", "median", "best")


def titles(page_text: str) -> list[str]:
    return [text for opened, text in parsed(page_text).texts if opened[-2:] == ("h3", "span")]


def test_training_ends_with_a_report_of_its_validation_part(trained: Path) -> None:
    text = (trained / "report.html").read_text(encoding="utf-8")
    assert "of the validation part" in parsed(text).words
    assert (trained / "figures" / "val_strip_dice.svg").is_file()
    assert len(text) < 5e6


def test_the_worst_the_median_and_the_best_case_are_drawn(hilum: Hilum, own_run: Path) -> None:
    ledger = own_run / "test_ledger.jsonl"
    done = hilum("report", own_run, "--part", "val", "--output", own_run / "page.html")
    assert done.code == 0, done.text
    assert "page.html" in done.out
    assert not ledger.exists()
    text = (own_run / "page.html").read_text(encoding="utf-8")
    rows = [row for row in read_csv(own_run / "cases.csv") if row["part"] == "val"]
    means = {
        case: np.mean([float(row["dice"]) for row in rows if row["case_id"] == case])
        for case in {row["case_id"] for row in rows}
    }
    shown = titles(text)
    first = FIRST if len(means) > 2 else FIRST[::2]
    assert shown[0::2][: len(first)] == list(first)
    assert means[shown[1]] == min(means.values())
    assert means[shown[1::2][len(first) - 1]] == max(means.values())
    assert set(shown[1::2]) == set(means), "a cohort this small is shown whole"
    assert "Predicted again" not in text
    pictures = re.findall(r'<image href="data:image/png;base64,([^"]+)"', text)
    assert len(pictures) == 3 * len(means)
    with Image.open(io.BytesIO(base64.b64decode(pictures[0]))) as picture:
        assert picture.mode == "L"


def test_the_page_of_the_test_part_comes_after_its_scores(hilum: Hilum, own_run: Path) -> None:
    assert hilum("report", own_run, "--part", "test").code == 0
    assert "has not been scored" in (own_run / "report.html").read_text()
    assert hilum("evaluate", own_run, "--part", "test").code == 0
    words = parsed((own_run / "report.html").read_text()).words
    assert "of the test part" in words
    assert "The test part of this run has been scored once." in words
    assert len((own_run / "test_ledger.jsonl").read_text().splitlines()) == 1


def test_a_prediction_that_differs_from_the_scored_one_says_so(hilum: Hilum, own_run: Path) -> None:
    table = own_run / "cases.csv"
    lines = table.read_text().splitlines()
    column = lines[0].split(",").index("predicted_voxels")
    cells = [line.split(",") for line in lines]
    for row in cells[1:]:
        row[column] = str(int(row[column]) + 1)
    table.write_text("\n".join(",".join(row) for row in cells) + "\n")
    assert hilum("report", own_run).code == 0
    assert "Predicted again for this picture, and not as it was scored" in (own_run / "report.html").read_text()


def test_without_the_data_there_are_no_pictures_but_a_note(hilum: Hilum, own_run: Path) -> None:
    done = hilum("report", own_run, f"data.source.folder={own_run}")
    assert done.code == 0, done.text
    page = parsed((own_run / "report.html").read_text())
    assert "Pictures of single cases are left out" in page.words
    assert "holds no phantom patients" in page.words
    assert "the mean Dice is" in page.words
    assert page.all("image") == []


def test_a_setting_leaves_the_report_out(hilum: Hilum, write_config: Callable[..., Path], tmp_path: Path) -> None:
    done = hilum("train", write_config(tmp_path), "train.report=false", "train.epochs=1", "schedule.warmup=0")
    assert done.code == 0, done.text
    assert (tmp_path / "runs" / "tiny" / "summary.json").exists()
    assert hilum("evaluate", tmp_path / "runs" / "tiny").code == 0
    assert not (tmp_path / "runs" / "tiny" / "report.html").exists()


def test_the_numbers_are_those_of_the_summary(trained: Path) -> None:
    page = parsed((trained / "report.html").read_text())
    told = read_json(trained / "summary.json")["val"]["overall"]["dice"]
    assert {json.dumps(told[key]) for key in ("value", "low", "high")} <= {value for value, _ in page.data}


def test_mistakes_are_messages(hilum: Hilum, own_run: Path, tmp_path: Path) -> None:
    hilum("report", own_run, "--part", "tset").refuses("tset", "test")
    hilum("report", tmp_path / "absent").refuses("no such folder")
    hilum("report", own_run, "--output", own_run / "checkpoints" / "best.pt" / "page.html").refuses("cannot be written")
