"""Rows of cases, and that a CSV gives back exactly what was written."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.errors import ConfigError, DataError
from hilum.evaluation.rows import CaseKey, Row, classification_row, read_rows, segmentation_rows, write_rows
from hilum.metrics.dice import DiceMetric
from hilum.metrics.hd95 import Hd95Metric
from hilum.problem import Problem
from hilum.volume import Grid

KEY = CaseKey("001", "P7", "val")
ORGANS = Problem("segmentation", 3, ("T1",), ("background", "liver", "tumour"), values=((0,), (1, 4), (2,)), ignore=255)
LUNGS = Problem("classification", 2, ("grey",), ("normal", "pneumonia"), values=((0,), (1,)))
METRICS = (DiceMetric(), Hd95Metric())
GRID = Grid((6, 5, 4), np.diag([2.0, 1.0, 5.0, 1.0]))

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
cells = st.fixed_dictionaries(
    {"case_id": text, "class": text, "dice": st.floats() | st.none(), "truth_voxels": st.integers() | st.none()}
)


@settings(max_examples=50)
@given(st.lists(cells, min_size=1, max_size=5))
def test_reading_gives_what_was_written(rows: list[dict[str, object]]) -> None:
    with TemporaryDirectory() as folder:
        write_rows(Path(folder, "cases.csv"), rows)  # type: ignore[arg-type]
        assert list(Path(folder).iterdir()) == [Path(folder, "cases.csv")]
        back = read_rows(Path(folder, "cases.csv"))
    # NaN differs from itself; repr tells 1 from 1.0 and -0.0 from 0.0.
    assert [{name: repr(cell) for name, cell in row.items()} for row in back] == [
        {name: repr(cell) for name, cell in row.items()} for row in rows
    ]


def test_real_rows_survive_the_file(tmp_path: Path) -> None:
    truth = np.random.default_rng(0).integers(0, 3, GRID.shape)
    predicted = np.random.default_rng(1).integers(0, 3, GRID.shape)
    rows = segmentation_rows(KEY, truth, predicted=predicted, problem=ORGANS, grid=GRID, metrics=METRICS)
    write_rows(tmp_path / "cases.csv", rows)
    assert read_rows(tmp_path / "cases.csv") == rows
    row = classification_row(KEY, 1, probabilities=np.array([1 / 3, 2 / 3], dtype=np.float32), problem=LUNGS)
    write_rows(tmp_path / "cases.csv", [row])
    assert read_rows(tmp_path / "cases.csv") == [row]


def test_a_row_a_structure_with_status_size_and_scores() -> None:
    truth, predicted = np.zeros((2, *GRID.shape), dtype=np.int64)
    truth[0] = 1
    truth[1] = 4  # both values are liver
    predicted[0] = 1
    predicted[5, 0, 0] = 2
    liver, tumour = segmentation_rows(KEY, truth, predicted=predicted, problem=ORGANS, grid=GRID, metrics=METRICS)
    assert dict(liver) == {
        "case_id": "001", "patient_id": "P7", "part": "val", "class": "liver", "status": "found", "unit": "mm",
        "truth_voxels": 40, "predicted_voxels": 20, "truth_ml": 0.4, "predicted_ml": 0.2,
        "dice": pytest.approx(2 / 3), "hd95": pytest.approx(2),
    }  # fmt: skip
    diagonal = math.hypot(12, 5, 20)
    assert (tumour["status"], tumour["dice"]) == ("invented", 0.0)
    assert tumour["hd95"] == pytest.approx(diagonal)


def test_ignored_voxels_belong_to_nobody() -> None:
    truth, predicted = np.ones((2, *GRID.shape), dtype=np.uint8)
    truth[:3] = 255
    predicted[0] = 2
    liver, tumour = segmentation_rows(KEY, truth, predicted=predicted, problem=ORGANS, grid=GRID, metrics=METRICS)
    assert (liver["dice"], liver["hd95"], liver["predicted_voxels"]) == (1.0, 0.0, 60)
    assert tumour["status"] == "absent"


def test_regions_overlap() -> None:
    problem = Problem("segmentation", 3, ("T1",), ("whole", "core"), ((1, 2), (2,)), exclusive=False)
    truth = np.zeros(GRID.shape, dtype=np.int16)
    truth[0], truth[1] = 1, 2
    rows = segmentation_rows(KEY, truth, predicted=truth, problem=problem, grid=GRID, metrics=METRICS)
    assert [(row["class"], row["truth_voxels"], row["dice"]) for row in rows] == [("whole", 40, 1.0), ("core", 20, 1.0)]


def test_an_image_without_size_has_no_volume_in_ml() -> None:
    grid = Grid((8, 9, 1), np.eye(4), "pixel")
    truth = np.ones(grid.shape, dtype=np.uint8)
    rows = segmentation_rows(KEY, truth, predicted=truth, problem=ORGANS, grid=grid, metrics=METRICS)
    assert (rows[0]["unit"], rows[0]["truth_ml"], rows[0]["truth_voxels"]) == ("pixel", None, 72)


def test_a_classified_case_names_its_classes() -> None:
    row = classification_row(KEY, 1, probabilities=np.array([0.75, 0.25]), problem=LUNGS)
    assert dict(row) == {
        "case_id": "001", "patient_id": "P7", "part": "val", "truth": "pneumonia", "predicted": "normal",
        "p_normal": 0.75, "p_pneumonia": 0.25,
    }  # fmt: skip


@pytest.mark.parametrize("probabilities", [[0.5, np.nan], [1.0], [0.2, 0.3, 0.5]])
def test_probabilities_that_cannot_be_are_refused(probabilities: list[float]) -> None:
    with pytest.raises(DataError, match=r"case 001: .* expected 2 finite numbers"):
        classification_row(KEY, 0, probabilities=np.array(probabilities), problem=LUNGS)


def test_masks_must_fit_their_grid_and_columns_be_distinct() -> None:
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    with pytest.raises(DataError, match="case 001: received a truth of shape"):
        segmentation_rows(KEY, labels, predicted=labels[1:], problem=ORGANS, grid=GRID, metrics=METRICS)
    with pytest.raises(ConfigError, match="column 'dice'"):
        segmentation_rows(KEY, labels, predicted=labels, problem=ORGANS, grid=GRID, metrics=[DiceMetric()] * 2)


def test_rows_of_differing_columns_are_refused(tmp_path: Path) -> None:
    cases: list[list[Row]] = [[], [{"case_id": "a", "dice": 1.0}, {"case_id": "b"}]]
    for rows in cases:
        with pytest.raises(DataError, match="the same columns"):
            write_rows(tmp_path / "cases.csv", rows)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("case_id,dice\na,0.5\nb\n", r"cases\.csv:3: received 1 cells, expected 2"),
        ("case_id,dice\na,good\n", r"cases\.csv:2: column 'dice': received 'good'"),
    ],
)
def test_damaged_rows_are_told_with_their_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "cases.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        read_rows(tmp_path / "cases.csv")
    with pytest.raises(DataError, match=r"missing\.csv: cannot be read"):
        read_rows(tmp_path / "missing.csv")
