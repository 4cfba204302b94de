"""Cases from a table: a row a case, with columns for its images, its label and its patient."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from hilum.case import Case, Cells, Cohort, ImageRef
from hilum.errors import DataError, Finding
from hilum.formats.reading import stem
from hilum.sources.base import PARTS, SourceConfig, channel_names, make_cohort
from hilum.sources.patients import OPTIONS, PatientsConfig
from hilum.sources.tables import Table, read_table

Row = dict[str, str]
SEVERAL = ("multilabel", "regression")
"""Tasks whose labels may stand in several columns."""
MASKED = ("segmentation", "restoration")
"""Tasks whose labels are files: masks, or the images that are wanted."""


def _as_mapping(received: object) -> object:
    """A list of columns names each by itself."""
    if isinstance(received, list | tuple) and all(isinstance(name, str) for name in received):
        if len(set(received)) != len(received):
            raise ValueError("every column once")
        return {name: name for name in received}
    return received


Columns = Annotated[
    dict[str, str], Field(min_length=1), BeforeValidator(_as_mapping, json_schema_input_type=list[str] | dict[str, str])
]


class CsvTableConfig(SourceConfig, kind="csv_table"):
    """A table (CSV, TSV or Parquet) with a row a case: image, label, patient, anything else."""

    file: Path
    """The table, relative to the current folder: .csv, .tsv or .parquet."""
    root: Path | None = None
    """Folder that the files in the table are relative to; by default the folder of the table."""
    image: str | dict[str, str] = "image"
    """Column of the image, or a mapping from each channel's name to its column, where empty cells are missing ones."""
    label: str | Columns | None = "label"
    """Column of what the task asks for: the file of the mask, or of the image that a restoration wants; the class, the
    findings or the number. Null where nothing is labelled. Several numbers, or findings with a column of 1 and 0 each,
    in a list, or in a mapping from the task's name of each to its column: there an empty cell says unknown."""
    patient: str | None = None
    """Column of the patient. Without one, `patients` has to say whose scans they are."""
    patients: PatientsConfig | None = None
    """How patients are known where no column names them."""
    id: str | None = None
    """Column of the case's name; by default the name of its (first) image file."""
    part: str | None = None
    """Column of the official part (train, val or test), for the split `predefined`."""
    order: str | None = None
    """Column of the position within a stack of slices; kept as metadata `order`."""

    @model_validator(mode="after")
    def _know_patients(self) -> Self:
        if (self.patient is None) == (self.patients is None):
            raise ValueError(
                f"exactly one of patient: COLUMN and patients: {{...}} with one of {OPTIONS}"
                f" (received {'neither' if self.patient is None else 'both'})"
            )
        if isinstance(self.image, dict) and not self.image:
            raise ValueError("at least one channel and its column under image")
        return self

    def cohort(self, task_kind: str) -> Cohort:
        """One case a row, in the table's order.

        Raises DataError for columns that are missing, and else for everything that is wrong with cells and files.
        """
        table = read_table(self.file)
        if isinstance(self.label, dict) and task_kind not in SEVERAL:
            raise DataError(
                f"label: received {len(self.label)} columns ({', '.join(self.label.values())}), which are for "
                f"{' and '.join(SEVERAL)}; a {task_kind} has one"
            )
        named = [*self._image_columns.values(), *self._other_columns]
        table.require(named)
        may_be_empty = {self.part, *(self._image_columns.values() if isinstance(self.image, dict) else ())}
        may_be_empty |= set(self.label.values()) if isinstance(self.label, dict) else set()
        findings = table.empty_cells(column for column in named if column not in may_be_empty)
        findings += [*_part_findings(table, self.part), *_order_findings(table, self.order)]
        cases = []
        for row, line in zip(table.rows, table.lines, strict=True):
            case, found = self._case(row, f"{self.file}:{line}", task_kind)
            cases.append(case)
            findings += found
        cases, unknown = self._with_patients(cases)
        notes = self.patients.notes if self.patients else ()
        cohort = make_cohort(
            cases,
            channels=tuple(self._image_columns),
            notes=notes,
            origin=self.file,
            findings=[*findings, *unknown],
        )
        if isinstance(self.image, dict):
            return cohort
        return replace(cohort, channels=channel_names(cases[0].files[0]))

    @property
    def _image_columns(self) -> dict[str, str]:
        return self.image if isinstance(self.image, dict) else {"image": self.image}

    @property
    def _other_columns(self) -> tuple[str, ...]:
        labels = self.label.values() if isinstance(self.label, dict) else (self.label,)
        return tuple(column for column in (*labels, self.patient, self.id, self.part, self.order) if column)

    @property
    def _root(self) -> Path:
        return self.file.parent if self.root is None else self.root

    def _with_patients(self, cases: Sequence[Case]) -> tuple[list[Case], Sequence[Finding]]:
        if self.patients is None:
            return list(cases), ()
        try:
            assigned = self.patients.assign([case.id for case in cases], folder=self._root)
        except DataError as error:
            return list(cases), error.findings or [Finding("error", "no patients", received=str(error))]
        return [replace(case, patient=assigned[case.id]) for case in cases], ()

    def _label(self, row: Row, task_kind: str) -> ImageRef | str | Cells | None:
        """What a row says of its label: a file, a text, or what stands in several columns."""
        if isinstance(self.label, dict):
            return tuple((name, row[column]) for name, column in self.label.items())
        text = row[self.label] if self.label else None
        return ImageRef(self._root / text) if text and task_kind in MASKED else text

    def _case(self, row: Row, where: str, task_kind: str) -> tuple[Case, list[Finding]]:
        """The case of a row, and what is wrong with the names of its files; `where` is the table and the line."""
        columns = list(self._image_columns.values())
        images = [ImageRef(self._root / row[column]) if row[column] else None for column in columns]
        label = self._label(row, task_kind)
        files = [row[column] for column in columns if row[column]]
        files += [row[self.label]] if isinstance(label, ImageRef) and isinstance(self.label, str) else []
        first = next((ref for ref in images if ref), None)
        name, unnamed = _name(first.path, where) if first else (f"line {where.rpartition(':')[2]}", [])
        used = {*columns, *self._other_columns}
        metadata = {column: cell for column, cell in row.items() if column not in used}
        if self.order:
            metadata["order"] = row[self.order]
        case = Case(
            id=row[self.id] if self.id else name,
            patient=row[self.patient] if self.patient else "",
            images=tuple(images),
            label=label,
            part=(row[self.part] or None) if self.part else None,
            metadata=metadata,
        )
        return case, [*unnamed, *_escapes(files, self._root, where)]


def _name(path: Path, where: str) -> tuple[str, list[Finding]]:
    """What an image is called, and that nobody knows its format where that is so."""
    try:
        return stem(path), []
    except DataError as error:
        return path.name, [Finding("error", "unknown format", file=where, received=str(error))]


def _escapes(cells: Sequence[str], root: Path, where: str) -> Iterator[Finding]:
    """Relative paths that lead out of the root; absolute ones mean what they say."""
    for cell in cells:
        if not Path(cell).is_absolute() and Path(os.path.normpath(cell)).parts[:1] == ("..",):
            yield Finding(
                "error",
                "path outside the root",
                file=where,
                received=f"'{cell}'",
                expected=f"a path that stays in {root}",
                fix="set `root` to a folder that holds all files, or write the absolute path",
            )


def _part_findings(table: Table, column: str | None) -> Iterator[Finding]:
    for row, line in zip(table.rows, table.lines, strict=True) if column else ():
        if row[str(column)] not in (*PARTS, ""):
            expected = f"{', '.join(PARTS)} or nothing in column '{column}'"
            yield Finding("error", "unknown part", "", f"{table.path}:{line}", f"'{row[str(column)]}'", expected)


def _order_findings(table: Table, column: str | None) -> Iterator[Finding]:
    for row, line in zip(table.rows, table.lines, strict=True) if column else ():
        if row[str(column)] and not _is_number(row[str(column)]):
            expected = f"a number in column '{column}'"
            yield Finding("error", "no number", "", f"{table.path}:{line}", f"'{row[str(column)]}'", expected)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
