"""Rows of the outputs of any tool: masks by file name, or classes, findings, numbers by case id, with their truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum.case import ImageRef, natural_order
from hilum.errors import DataError, Finding, nearest, number_of
from hilum.evaluation.rows import (
    PREDICTED_PREFIX,
    PROBABILITY_PREFIX,
    CaseKey,
    Row,
    image_row,
    segmentation_rows,
)
from hilum.formats.base import described
from hilum.formats.reading import is_image, read_mask, stem
from hilum.metrics.base import CaseMetric, MetricConfig
from hilum.problem import Problem
from hilum.sources.tables import read_table
from hilum.targets import Vector, encoded_label

PREDICTED = "predicted"


@dataclass(frozen=True)
class Matched:
    """Rows of the cases that have both, cases with a truth alone, and patients by case where a table names them."""

    rows: tuple[Row, ...]
    unpredicted: tuple[str, ...]
    patients: dict[str, str] = field(default_factory=dict)


def mask_rows(
    predictions: Path, labels: Path, *, problem: Problem, metrics: Sequence[MetricConfig], part: str
) -> Matched:
    """Rows of masks that have the same name, without suffix, in both folders; patients are yet to be filled in.

    Raises DataError with every case that cannot be scored: without a label, on another grid, with unknown values.
    """
    predicted, true = _masks(predictions), _masks(labels)
    _refuse_unlabelled(predicted, true, labels)
    case_metrics = [metric for metric in metrics if isinstance(metric, CaseMetric)]
    rows: list[Row] = []
    faults: list[Finding] = []
    for name in sorted(predicted, key=natural_order):
        try:
            key = CaseKey(name, name, part)
            rows += _rows_of(key, predicted[name], true[name], problem=problem, metrics=case_metrics)
        except DataError as error:
            faults.append(Finding("error", "cannot be scored", name, received=str(error)))
    if faults:
        raise DataError(faults)
    return Matched(tuple(rows), tuple(sorted(set(true) - set(predicted), key=natural_order)))


def table_rows(
    predictions: Path, labels: Path, *, problem: Problem, metrics: Sequence[MetricConfig], part: str
) -> Matched:
    """Rows of a table with case_id and p_NAME for each class or finding (predicted_NAME for each number), and of a
    table of true ones: case_id and label, or a column NAME for each finding or number.

    `predicted` (of a finding predicted_NAME) of the first is kept where it is there, `patient_id` of the second tells
    the patients. Raises DataError for columns, cells and cases that do not fit.
    """
    del metrics  # scores of whole images are made of the rows
    prefix = PREDICTED_PREFIX if problem.continuous else PROBABILITY_PREFIX
    columns = [f"{prefix}{name}" for name in problem.classes]
    said, true = read_table(predictions), read_table(labels)
    said.require(("case_id", *columns))
    said.require_cells(("case_id", *columns))
    one = problem.kind == "classification"
    by_name = not one and "label" not in true.columns
    true.require(("case_id", *(problem.classes if by_name else ("label",))))
    true.require_cells(("case_id", "label") if one else ("case_id",))
    known = {row["case_id"]: row for row in true.rows}
    for table, rows in ((predictions, said.rows), (labels, true.rows)):
        if len({row["case_id"] for row in rows}) < len(rows):
            raise DataError(f"{table}: a case_id stands there twice, expected a row a case")
    _refuse_unlabelled({row["case_id"]: predictions for row in said.rows}, dict.fromkeys(known, labels), labels)
    found: list[Row] = []
    for row in said.rows:
        key = CaseKey(row["case_id"], known[row["case_id"]].get("patient_id") or row["case_id"], part)
        truth = _truth(known[row["case_id"]], problem, by_name=by_name, file=labels)
        made = image_row(key, truth, answers=_numbers(row, columns, predictions), problem=problem)
        found.append({**made, **_decided(row, problem, predictions)})
    patients = {str(row["case_id"]): str(row["patient_id"]) for row in found}
    named = "patient_id" in true.columns
    unpredicted = [name for name in known if name not in patients]
    return Matched(tuple(found), tuple(unpredicted), patients if named else {})


def _truth(row: Mapping[str, str], problem: Problem, *, by_name: bool, file: Path) -> int | Vector:
    """The true class, findings or numbers of a row. Raises DataError with its case."""
    label = tuple((name, row[name]) for name in problem.classes) if by_name else row["label"]
    try:
        return encoded_label(label, problem)
    except DataError as error:
        raise DataError(f"{file}: case {row['case_id']}: {error}") from error


def _decided(row: Mapping[str, str], problem: Problem, file: Path) -> Row:
    """The columns of decisions of another tool, where it made some."""
    if problem.kind == "classification":
        return {PREDICTED: problem.classes[problem.encode_class(row[PREDICTED])]} if row.get(PREDICTED) else {}
    columns = [f"{PREDICTED_PREFIX}{name}" for name in problem.classes]
    given = [column for column in columns if row.get(column)] if problem.kind == "multilabel" else []
    wrong = [row[column] for column in given if row[column] not in ("0", "1")]
    if wrong:
        raise DataError(f"{file}: case {row['case_id']}: received '{wrong[0]}', expected 1 or 0 for each finding")
    return {column: int(row[column]) for column in given}


def _masks(folder: Path) -> dict[str, Path]:
    """The masks of a folder by their name without suffix. Raises DataError for none, or two of one name."""
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if not is_image(file) or file.name.startswith("."):
            continue
        other = found.setdefault(stem(file), file)
        if other != file:
            raise DataError(f"{file} and {other.name}: two masks of one name, expected one a case")
    if not found:
        raise DataError(f"{folder}: holds no mask that hilum reads (.nii.gz, .nrrd, .mha, .png and others)")
    return found


def _refuse_unlabelled(predicted: dict[str, Path], true: dict[str, Path], labels: Path) -> None:
    alone = sorted(set(predicted) - set(true), key=natural_order)
    if alone:
        close = nearest(alone[0], true)
        hint = f"; did you mean {close}, for {alone[0]}?" if close else ""
        named = ", ".join(alone[:5])
        raise DataError(f"{labels}: no label for {number_of(len(alone), 'prediction')} ({named}){hint}")


def _rows_of(
    key: CaseKey, predicted: Path, true: Path, *, problem: Problem, metrics: Sequence[CaseMetric]
) -> list[Row]:
    masks = [read_mask(ImageRef(file)) for file in (true, predicted)]
    truth, said = masks
    if not truth.grid.matches(said.grid):
        raise DataError(f"lies on {described(said.grid)}, its label on {described(truth.grid)}: resample one of them")
    arrays = [mask.tensor[0].numpy() for mask in masks]
    for file, values in zip((true, predicted), arrays, strict=True):
        unknown = problem.unknown_values(np.unique(values).tolist())
        if unknown:
            raise DataError(f"{file.name} has the label values {unknown}, expected {problem.described()}")
    return segmentation_rows(
        key, arrays[0], predicted=arrays[1], problem=problem, grid=truth.grid, metrics=list(metrics)
    )


def _numbers(row: dict[str, str], columns: Sequence[str], file: Path) -> npt.NDArray[np.float64]:
    try:
        return np.array([float(row[column]) for column in columns])
    except ValueError:
        cells = [row[column] for column in columns]
        raise DataError(f"{file}: case {row['case_id']}: received {cells}, expected a number in each") from None
