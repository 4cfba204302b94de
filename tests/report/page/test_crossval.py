"""The page of a cross-validation against its files: the pooled scores, those of each fold, and who is in which."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.report.page.conftest import EVIL, parsed, write_crossval

from hilum.errors import CheckpointError
from hilum.pipeline.reporting import write_report


def quiet(line: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module", params=["segmentation", "classification"])
def crossed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a cross-validation with its page, to be read only."""
    folder = write_crossval(tmp_path_factory.mktemp("crossed") / "cv", request.param)
    write_report(folder, say=quiet)
    return folder


def test_pooled_scores_and_those_of_each_fold_are_there_with_all_their_digits(crossed: Path) -> None:
    page = parsed((crossed / "report.html").read_text(encoding="utf-8"))
    shown = {float(value) for value, _ in page.data}
    told = json.loads((crossed / "summary.json").read_text())["test"]
    for score in ("dice", "hd95") if "dice" in told["overall"] else ("auroc", "accuracy"):
        entry = told["overall"][score]
        assert {entry["value"], entry["low"], entry["high"]} <= shown
        folds = told["folds"]
        assert {scores[score] for scores in folds["each"].values()} <= shown
        assert {folds["mean"][score], folds["std"][score]} <= shown


def test_the_page_says_what_it_is_and_nothing_injected_runs(crossed: Path) -> None:
    text = (crossed / "report.html").read_text(encoding="utf-8")
    page = parsed(text)
    assert "cross-validation" in page.words
    assert "each scored by one of 3 networks that has not seen it" in page.words
    assert "is missing" not in page.words
    assert EVIL not in text.partition("</head>")[2]
    for name in ("fold-0", "fold-1", "fold-2"):
        assert name in page.words


def test_every_patient_is_counted_in_its_fold(crossed: Path) -> None:
    page = parsed((crossed / "report.html").read_text(encoding="utf-8"))
    told = json.loads((crossed / "summary.json").read_text())["test"]
    per_fold = told["patients"] / 3
    if per_fold == int(per_fold):
        assert sum(float(value) == per_fold for value, _ in page.data) >= 3


def test_its_charts_are_files_too(crossed: Path) -> None:
    names = {file.name for file in (crossed / "figures").iterdir()}
    expected = {"test_folds_dice", "test_strip_folds"} if "test_folds_dice.svg" in names else {"test_folds_auroc"}
    for name in (*expected, "test_learning_folds"):
        assert {f"{name}.svg", f"{name}.png"} <= names


def test_folds_that_are_not_pooled_yet_are_a_message(tmp_path: Path) -> None:
    folder = write_crossval(tmp_path / "cv")
    (folder / "summary.json").unlink()
    with pytest.raises(CheckpointError, match="have not been pooled yet: hilum crossval goes on"):
        write_report(folder, say=quiet)
