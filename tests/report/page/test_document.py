"""The page of a run against its files: the same numbers, nothing loaded, nothing injected, nothing demanded."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.report.page.conftest import EVIL, Page, parsed, write_run

from hilum.metrics.pair import STATUSES
from hilum.pipeline.reporting import write_report
from hilum.report.page.raster import ZOOM

FILES = ("summary.json", "cases.csv", "log.jsonl", "provenance.json", "split.csv", "config.yaml", "test_ledger.jsonl")
NEEDED = FILES[:-1]


def report(run: Path, **settings: Any) -> str:
    return write_report(run, say=lambda line: None, **settings).read_text(encoding="utf-8")


def scores(summary: Any) -> list[float]:
    """Every value and end of an interval in an entry of the summary."""
    if isinstance(summary, dict):
        own = [summary[key] for key in ("value", "low", "high") if isinstance(summary.get(key), float)]
        return own + [number for key, entry in summary.items() if key != "by" for number in scores(entry)]
    return []


def test_every_score_of_the_summary_is_in_the_page_with_all_its_digits(written_run: Path) -> None:
    page = parsed(report(written_run))
    shown = {float(value) for value, _ in page.data}
    told = json.loads((written_run / "summary.json").read_text())["val"]
    assert scores(told["overall"])
    assert set(scores(told["overall"])) <= shown
    assert set(scores(told["classes"])) <= shown
    for entry in told["classes"].values():
        assert {entry[status] for status in STATUSES if status in entry} <= shown


def test_what_is_read_is_the_number_rounded(written_run: Path) -> None:
    page = parsed(report(written_run))
    assert len(page.data) > 10
    for value, text in page.data:
        plain = text.replace("\u202f", "").replace("\u2212", "-")
        digits = len(plain.partition(".")[2])
        assert float(plain) == pytest.approx(float(value), abs=0.51 * 10.0**-digits)


def test_the_answer_names_the_monitored_score_and_its_interval(written_run: Path) -> None:
    page = parsed(report(written_run))
    told = json.loads((written_run / "summary.json").read_text())["val"]
    score = next(iter(told["metrics"]))
    entry = told["overall"][score]
    name = {"dice": "the mean Dice is", "auroc": "the AUROC is"}[score]
    expected = f"{name} {entry['value']:.3f} (95 % interval {entry['low']:.3f} to {entry['high']:.3f})"
    assert expected in page.words
    assert f"of {told['patients']} patients of the validation part" in page.words


def test_missed_and_invented_structures_are_counted_and_named(tmp_path: Path) -> None:
    page = parsed(report(write_run(tmp_path / "tiny", "segmentation")))
    assert "1 of 21 structures was missed, 1 invented." in page.words
    assert "c1-0 (lesion" in page.words
    assert "c2-1 (lesion" in page.words


def test_the_page_loads_nothing(written_run: Path) -> None:
    text = report(written_run)
    page = parsed(text)
    assert "url(" not in text
    assert "@import" not in text
    for tag, attributes in page.elements:
        assert tag not in {"iframe", "object", "embed", "base", "form"}
        for name in ("src", "href", "data", "action", "poster", "srcset"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", "data:")), (tag, target)
    addresses = set(re.findall(r"https?://[^\"'\s<]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}


def test_only_the_script_of_the_page_may_run(written_run: Path) -> None:
    """The policy names the one script by its hash, so that a browser refuses every other one."""
    text = report(written_run)
    (script,) = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    (policy,) = [str(meta["content"]) for meta in parsed(text).all("meta") if "http-equiv" in meta]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not any(name.startswith("on") for _, attributes in parsed(text).elements for name in attributes)


def test_a_case_id_cannot_become_a_program(written_run: Path) -> None:
    text = report(written_run)
    assert EVIL not in text
    assert text.count("<script>") == 1
    page = parsed(text)
    assert any(EVIL in words for _, words in page.texts), "it is shown, as text"
    for figure in (written_run / "figures").glob("*.svg"):
        assert EVIL not in figure.read_text(encoding="utf-8")


def test_the_page_can_be_heard_and_walked_through(written_run: Path) -> None:
    page = parsed(report(written_run))
    assert page.all("html")[0]["lang"] == "en"
    assert page.text_of("title")[0].startswith("tiny")
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    ids = [str(attributes["id"]) for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(link["href"])[1:] for link in page.all("a")} <= set(ids)
    assert all(chart.get("aria-label") or chart.get("aria-hidden") == "true" for chart in page.all("svg"))
    assert all(image.get("alt") for image in page.all("img"))
    regions = [attributes for attributes in page.all("div") if attributes.get("class") == "scroll"]
    assert all(region["tabindex"] == "0" and region["aria-label"] for region in regions)
    assert len(page.all("caption")) == len(regions)


def test_every_point_says_which_case_it_is(tmp_path: Path) -> None:
    page = parsed(report(write_run(tmp_path / "tiny", "segmentation")))
    titles = [text for opened, text in page.texts if opened[-2:] == ("circle", "title") and "epoch" not in text]
    assert any(title.startswith("c1-0, lesion, missed: Dice 0") for title in titles)
    rows = [line for line in (tmp_path / "tiny" / "cases.csv").read_text().splitlines()[1:] if ",absent," not in line]
    assert sum(": Dice" in title for title in titles) == len(rows) == sum(": HD95" in title for title in titles)


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_file_is_said(written_run: Path, name: str) -> None:
    (written_run / name).unlink()
    page = parsed(report(written_run))
    assert f"{name} is missing" in page.words


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_said(written_run: Path, name: str) -> None:
    (written_run / name).write_bytes(b'{"broken\xff\n{[}\n')
    page = parsed(report(written_run))
    assert f"{name} cannot be read" in page.words


def test_without_any_score_the_page_says_what_to_do(written_run: Path) -> None:
    for name in NEEDED[:2]:
        (written_run / name).unlink()
    page = parsed(report(written_run))
    assert "has not been scored: run hilum evaluate tiny --part val" in page.words
    assert page.data, "the split is still counted"


def test_looks_at_the_test_part_are_told(written_run: Path) -> None:
    assert "The test part has been scored twice" in parsed(report(written_run)).words
    (written_run / "test_ledger.jsonl").unlink()
    words = parsed(report(written_run)).words
    assert "The test part has never been scored" in words
    assert "is missing" not in words


def test_split_resumes_and_settings_are_told(written_run: Path) -> None:
    page = parsed(report(written_run))
    assert "No patient is in two parts." in page.words
    assert "train.epochs=3" in page.words
    assert "12 min, pauses included" in page.words
    assert "kind: holdout" in page.words
    assert "c" * 64 in page.words
    (code,) = [text for opened, text in page.texts if opened[-2:] == ("pre", "code")]
    assert code == (written_run / "config.yaml").read_text()


def test_a_patient_in_two_parts_is_told(written_run: Path) -> None:
    with (written_run / "split.csv").open("a") as table:
        table.write("again,q0,test,\n")
    assert "1 patient in more than one part!" in parsed(report(written_run)).words


def test_groups_are_shown_and_the_worst_is_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tiny", "segmentation")
    summary = json.loads((run / "summary.json").read_text())
    score = {"value": 0.25, "low": 0.125, "high": 0.5}
    groups = {EVIL: {"patients": 2, "cases": 4, "overall": {"dice": score}, "classes": {}, "notes": []}}
    groups["B"] = {**groups[EVIL], "overall": {"dice": {**score, "value": 0.75}}}
    summary["val"]["by"] = {"site": groups}
    (run / "summary.json").write_text(json.dumps(summary))
    page = parsed(report(run))
    assert "Scores by site" in page.text_of("caption")
    assert f"{EVIL} has the worst Dice of these groups." in page.words
    assert {"0.125", "0.25", "0.75"} <= {value for value, _ in page.data}
    summary["val"]["worst"] = {"site": {"dice": {"group": "B", **score}}}  # such as where the other is one patient
    (run / "summary.json").write_text(json.dumps(summary))
    assert "B has the worst Dice of these groups." in parsed(report(run)).words


def test_what_was_chosen_and_the_level_of_patients_are_shown(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tiny", "classification")
    summary = json.loads((run / "summary.json").read_text())
    point = {"positive": EVIL, "threshold": 0.375, "rule": {"kind": "youden"}}
    point |= {"sensitivity": 0.9375, "specificity": 0.625}
    scores = {"raw": {"nll": 0.5}, "calibrated": {"nll": 0.25}}
    chosen = {"temperature": 1.625, "validation": scores, "operating_points": {"case": point}}
    score = {"value": 0.8125, "low": 0.6875, "high": 0.875, "method": "delong"}
    level = {"aggregate": {"kind": "noisy_or"}, "overall": {"auroc": score}}
    bins = [{"low": 0.0, "high": 0.1, "cases": 7, "claimed": 0.06, "observed": 0.25}]
    bins[0] |= {"observed_low": 0.1, "observed_high": 0.5}
    told = {**summary["val"], "chosen_on_validation": chosen, "patient_level": level}
    told["reliability"] = {"ill": bins, "other": bins}
    told["overall"]["auroc"]["method"] = "delong"
    (run / "summary.json").write_text(json.dumps({"val": told}))
    page = parsed(report(run))
    assert {"0.375", "0.9375", "0.625", "1.625", "0.8125", "0.6875"} <= {value for value, _ in page.data}
    assert "By patient it is 0.812 (0.688 to 0.875)." in page.words
    assert "by patient (noisy_or of the cases)" in page.words
    assert "delong" in page.words
    assert "7 cases between 0 and 0.1: predicted 0.060, observed 0.250 (0.100 to 0.500)" in page.words
    assert (run / "figures" / "val_reliability_2.svg").is_file()


def test_the_other_part_is_chosen_where_it_was_scored(written_run: Path) -> None:
    summary = json.loads((written_run / "summary.json").read_text())
    (written_run / "summary.json").write_text(json.dumps({**summary, "test": summary["val"]}))
    assert "of the test part" in parsed(report(written_run)).words
    page = parsed(report(written_run, part="val"))
    assert "of the validation part" in page.words
    assert "All parts that were scored" in page.text_of("caption")


def test_charts_are_files_too(written_run: Path) -> None:
    import xml.etree.ElementTree as ET

    page: Page = parsed(report(written_run, output=written_run / "elsewhere.html"))
    names = {str(figure["id"]) for figure in page.all("figure") if figure.get("id")}
    assert {file.stem.removeprefix("val_") for file in (written_run / "figures").glob("val_*.svg")} == names
    for file in (written_run / "figures").glob("*.svg"):
        root = ET.parse(file).getroot()
        assert root.tag.endswith("svg")
        with Image.open(file.with_suffix(".png")) as picture:
            assert picture.size == tuple(round(ZOOM * float(side)) for side in root.attrib["viewBox"].split()[2:])
    assert not (written_run / "report.html").exists()
