"""The page of a comparison against compare.json: every difference, its interval, its test, and the ranking."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.report.page.conftest import EVIL, parsed, write_comparison

from hilum.errors import ConfigError, DataError
from hilum.pipeline.reporting import write_report


def quiet(line: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a comparison with its page, to be read only."""
    folder = write_comparison(tmp_path_factory.mktemp("compared") / "compare")
    write_report(folder, say=quiet)
    return folder


def test_every_number_of_the_comparison_is_there_with_all_its_digits(compared: Path) -> None:
    page = parsed((compared / "report.html").read_text(encoding="utf-8"))
    shown = {float(value) for value, _ in page.data}
    content = json.loads((compared / "compare.json").read_text())
    for line in content["comparisons"]:
        keys = ("value_a", "value_b", "difference", "low", "high", "p", "p_holm")
        assert {line[key] for key in keys if line[key] is not None} <= shown
    for place in content["rankings"]["dice"]["places"]:
        assert place["first"] in shown


def test_the_first_sentence_is_the_verdict(compared: Path) -> None:
    page = parsed((compared / "report.html").read_text(encoding="utf-8"))
    expected = (
        "By Dice: two-dim 0.812 and three-dim 0.800, a difference of 0.012 (\u22120.018 to 0.040) with a 95 % interval"
    )
    assert expected in page.words
    assert "two-dim better (p = 0.001)" in page.words
    assert "12 cases of 6 patients" in page.words
    assert "Kendall's tau, 1: always the same): Dice 0.75" in page.words


def test_names_of_methods_are_text(compared: Path) -> None:
    text = (compared / "report.html").read_text(encoding="utf-8")
    assert EVIL not in text
    assert EVIL in parsed(text).words


def test_its_charts_are_files_too(compared: Path) -> None:
    names = {file.name for file in (compared / "figures").iterdir()}
    charts = ("differences_dice", "differences_hd95", "ranking_dice")
    assert names == {f"{chart}.{suffix}" for chart in charts for suffix in ("svg", "png")}


def test_settings_of_a_run_are_refused(compared: Path) -> None:
    with pytest.raises(ConfigError, match="is a comparison"):
        write_report(compared, part="val", say=quiet)


def test_a_damaged_comparison_is_a_message(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path / "compare")
    (folder / "compare.json").write_text('{"part": "val"}')
    with pytest.raises(DataError, match="is no comparison that hilum wrote"):
        write_report(folder, say=quiet)
