"""Cases from a table: a row a case, with columns for its images, its label and its patient."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import model_validator

from hilum.case import Case, Cohort, ImageRef
from hilum.errors import DataError
from hilum.formats.reading import stem
from hilum.sources.base import PARTS, SourceConfig, channel_names, listed, make_cohort
from hilum.sources.patients import PatientsConfig
from hilum.sources.tables import Table, read_table


class CsvTableConfig(SourceConfig, kind="csv_table"):
    """A CSV table with a row a case: image, label, patient, anything else."""

    file: Path
    """The table, relative to the current folder."""
    root: Path | None = None
    """Folder that the files in the table are relative to; by default the folder of the table."""
    image: str | dict[str, str] = "image"
    """Column of the image file, or a mapping from each channel's name to its column."""
    label: str | None = "label"
    """Column of the mask file (segmentation) or of the class (classification); null where nothing is labelled."""
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
                "exactly one of patient: COLUMN and patients: {table: FILE}, {regex: '...'} or {each_case: true}"
                f" (received {'neither' if self.patient is None else 'both'})"
            )
        return self

    def cohort(self, task_kind: str) -> Cohort:
        """One case a row, in the table's order. Raises DataError for columns, cells or files that are missing."""
        table = read_table(self.file)
        named = [*self._image_columns.values(), *self._other_columns]
        table.require(named)
        table.require_cells(column for column in named if column != self.part)
        ids = [row[self.id] if self.id else stem(Path(row[self._first_image])) for row in table.rows]
        patients = self._patients(table, ids)
        _check_parts(table, self.part)
        _check_order(table, self.order)
        cases = [
            self._case(row, (case_id, patient), task_kind)
            for row, case_id, patient in zip(table.rows, ids, patients, strict=True)
        ]
        notes = self.patients.notes if self.patients else ()
        cohort = make_cohort(cases, channels=tuple(self._image_columns), notes=notes, origin=self.file)
        if isinstance(self.image, dict):
            return cohort
        return Cohort(cohort.cases, channel_names(cases[0].files[0]), cohort.notes)

    @property
    def _image_columns(self) -> dict[str, str]:
        return self.image if isinstance(self.image, dict) else {"image": self.image}

    @property
    def _first_image(self) -> str:
        return next(iter(self._image_columns.values()))

    @property
    def _other_columns(self) -> tuple[str, ...]:
        return tuple(column for column in (self.label, self.patient, self.id, self.part, self.order) if column)

    @property
    def _root(self) -> Path:
        return self.file.parent if self.root is None else self.root

    def _patients(self, table: Table, ids: Sequence[str]) -> list[str]:
        if self.patients is None:
            return [row[str(self.patient)] for row in table.rows]
        assigned = self.patients.assign(ids, folder=self._root)
        return [assigned[case_id] for case_id in ids]

    def _case(self, row: dict[str, str], who: tuple[str, str], task_kind: str) -> Case:
        text = row[self.label] if self.label else None
        used = {*self._image_columns.values(), *self._other_columns}
        metadata = {column: cell for column, cell in row.items() if column not in used}
        if self.order:
            metadata["order"] = row[self.order]
        return Case(
            id=who[0],
            patient=who[1],
            images=tuple(ImageRef(self._root / row[column]) for column in self._image_columns.values()),
            label=ImageRef(self._root / text) if text and task_kind == "segmentation" else text,
            part=(row[self.part] or None) if self.part else None,
            metadata=metadata,
        )


def _check_parts(table: Table, column: str | None) -> None:
    found = {row[column] for row in table.rows} if column else set()
    unknown = sorted(found - {*PARTS, ""})
    if unknown:
        raise DataError(
            f"{table.path}: column '{column}' holds {listed(unknown)}, expected {', '.join(PARTS)} or nothing"
        )


def _check_order(table: Table, column: str | None) -> None:
    wrong = [row[column] for row in table.rows if not _is_number(row[column])] if column else []
    if wrong:
        raise DataError(f"{table.path}: column '{column}' holds {listed(wrong)}, expected numbers")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
