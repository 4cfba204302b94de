"""One row a case (and structure): how scores are made into rows, written to `cases.csv` and read back."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hilum.errors import DataError
from hilum.evaluation.structures import structure_pairs
from hilum.formats.atomic import write_whole
from hilum.metrics.base import check_columns
from hilum.problem import IGNORE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from hilum.metrics.base import CaseMetric
    from hilum.metrics.pair import MaskPair
    from hilum.problem import Problem
    from hilum.targets import Vector
    from hilum.volume import Grid

    Labels = npt.NDArray[np.integer]

Cell = str | int | float | None
Row = Mapping[str, Cell]
"""A line of `cases.csv`: what stands in each column; None is an empty cell."""
TEXT_COLUMNS = frozenset(
    {"case_id", "patient_id", "part", "fold", "modalities", "class", "status", "unit", "truth", "predicted"}
)
"""Columns that stay text, so that an id `001` comes back as it was; every other one holds numbers."""
PROBABILITY_PREFIX = "p_"
GROUP_PREFIX = "by_"
"""What columns of groups begin with, as `by_site`: they are text too."""
TRUTH_PREFIX, PREDICTED_PREFIX, UNIT_PREFIX = "truth_", "predicted_", "unit_"
"""What the columns of each finding, and of each number with its unit, begin with."""
LIKELY = 0.5
"""A finding is predicted where its probability is above this."""
_INTEGER = re.compile(r"-?[0-9]+")


@dataclass(frozen=True)
class CaseKey:
    """Whose row it is, and the groups that the case is in: column by column, one of TEXT_COLUMNS each."""

    case_id: str
    patient_id: str
    part: str
    groups: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def cells(self) -> dict[str, Cell]:
        """What a row of the case begins with."""
        return {"case_id": self.case_id, "patient_id": self.patient_id, "part": self.part, **self.groups}


def segmentation_rows(
    key: CaseKey, truth: Labels, *, predicted: Labels, problem: Problem, grid: Grid, metrics: Sequence[CaseMetric]
) -> list[Row]:
    """One row a foreground class or region, from the label values (I, J, K) of truth and prediction on `grid`.

    Voxels that the truth ignores are in neither structure. Volumes in ml are empty where the image has no size.
    Raises DataError where the two do not fit the grid, ConfigError where two metrics share a column.
    """
    check_columns(metrics)
    if truth.shape != grid.shape or predicted.shape != grid.shape:
        raise DataError(
            f"case {key.case_id}: received a truth of shape {truth.shape} and a prediction of {predicted.shape};"
            f" expected both on the grid {grid.shape}"
        )
    rows: list[Row] = []
    for name, pair in structure_pairs(truth, predicted, problem=problem, grid=grid):
        rows.append({**key.cells, "class": name, **_sizes(pair), **_scores(pair, metrics)})
    return rows


def classification_row(key: CaseKey, truth: int, *, probabilities: npt.NDArray[np.floating], problem: Problem) -> Row:
    """The row of a case: names of the true and the most likely class, and the probability (C,) of every class.

    Raises DataError for probabilities that are not one finite number a class.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if values.shape != (len(problem.classes),) or not np.isfinite(values).all():
        raise DataError(
            f"case {key.case_id}: received probabilities {values.tolist()},"
            f" expected {len(problem.classes)} finite numbers, one for each of {', '.join(problem.classes)}"
        )
    named = {f"{PROBABILITY_PREFIX}{name}": float(value) for name, value in zip(problem.classes, values, strict=True)}
    predicted = problem.classes[int(values.argmax())]
    return {**key.cells, "truth": problem.classes[truth], "predicted": predicted, **named}


def image_row(key: CaseKey, truth: int | Vector, *, answers: npt.NDArray[np.floating], problem: Problem) -> Row:
    """The row of a case of any task with one answer an image: its label, and what the network says.

    `answers` are probabilities of classes (C,) or findings (L,), or numbers (T,) in their own unit. Raises DataError
    where they are not all finite.
    """
    if isinstance(truth, int):
        return classification_row(key, truth, probabilities=answers, problem=problem)
    values = np.asarray(answers, dtype=np.float64)
    if values.shape != truth.shape or not np.isfinite(values).all():
        raise DataError(f"case {key.case_id}: received {values.tolist()}, expected {len(truth)} finite numbers")
    row: dict[str, Cell] = dict(key.cells)
    for name, true in zip(problem.classes, truth.tolist(), strict=True):
        known = not (np.isnan(true) if problem.continuous else true == IGNORE)
        row[f"{TRUTH_PREFIX}{name}"] = true if known else None
    return row | answer_cells(values, problem)


def answer_cells(values: npt.NDArray[np.float64], problem: Problem) -> dict[str, Cell]:
    """What is told of findings (L,): probability, and 1 where it is above LIKELY; of numbers (T,): value and unit."""
    cells: dict[str, Cell] = {}
    for number, (name, value) in enumerate(zip(problem.classes, values.tolist(), strict=True)):
        if not problem.continuous:
            cells |= {f"{PROBABILITY_PREFIX}{name}": value, f"{PREDICTED_PREFIX}{name}": int(value > LIKELY)}
            continue
        cells[f"{PREDICTED_PREFIX}{name}"] = value
        if problem.units[number]:
            cells[f"{UNIT_PREFIX}{name}"] = problem.units[number]
    return cells


def write_rows(file: Path, rows: Sequence[Row]) -> None:
    """Write rows of the same columns as CSV; floats keep every digit, None is an empty cell.

    The file appears under its name only when complete. Raises DataError for no rows, or rows of differing columns.
    """
    if not rows or any(row.keys() != rows[0].keys() for row in rows):
        raise DataError(f"{file}: received {len(rows)} rows, expected at least one and the same columns in each")
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows([_written(row[name]) for name in rows[0]] for row in rows)
    write_whole(file, text.getvalue().encode())


def read_rows(file: Path) -> list[Row]:
    """The rows of a CSV by `write_rows`, equal to those that were written.

    Raises DataError for a file that is missing, cut off, or holds text where a number belongs.
    """
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            reader = csv.reader(stream)
            header = next(reader, [])
            return [_row(header, cells, f"{file}:{reader.line_num}") for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: cannot be read: {error}; expected rows written by `hilum evaluate`") from error


def _sizes(pair: MaskPair) -> dict[str, Cell]:
    voxel_ml = pair.voxel_volume if pair.unit == "mm" else None
    return {
        "status": pair.status,
        "unit": pair.unit,
        "truth_voxels": pair.truth_voxels,
        "predicted_voxels": pair.predicted_voxels,
        "truth_ml": None if voxel_ml is None else pair.truth_voxels * voxel_ml,
        "predicted_ml": None if voxel_ml is None else pair.predicted_voxels * voxel_ml,
    }


def _scores(pair: MaskPair, metrics: Sequence[CaseMetric]) -> dict[str, Cell]:
    return {metric.column: float(metric.measure(pair)) for metric in metrics}


def _written(cell: Cell) -> str:
    if cell is None:
        return ""
    return repr(cell) if isinstance(cell, float) else str(cell)


def _row(header: Sequence[str], cells: Sequence[str], where: str) -> Row:
    if len(cells) != len(header):
        raise DataError(f"{where}: received {len(cells)} cells, expected {len(header)}; the file was cut off or edited")
    return {name: _cell(name, text, where) for name, text in zip(header, cells, strict=True)}


def _cell(name: str, text: str, where: str) -> Cell:
    if name in TEXT_COLUMNS or name.startswith((GROUP_PREFIX, UNIT_PREFIX)):
        return text
    if not text:
        return None
    try:
        return int(text) if _INTEGER.fullmatch(text) else float(text)
    except ValueError:
        raise DataError(f"{where}: column '{name}': received '{text}', expected a number or nothing") from None
