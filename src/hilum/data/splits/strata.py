"""What patients are told apart by when they are divided evenly: their classes, and columns of the table."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from hilum.case import Case
from hilum.data.splits.people import persons
from hilum.errors import SplitError, nearest
from hilum.settings import Settings

LABEL = "label"
"""The name that stands for the class of a case."""
NONE = "(none)"
"""The value of a patient whose cells are all empty."""
MANY_NUMBERS = 10
"""A column with more different numbers than this is a measurement, and has to be cut into bins."""


class ColumnConfig(Settings):
    """A column to stratify by, in its long form."""

    column: str
    """Name of the column, or `label` for the class."""
    bins: Annotated[int, Field(ge=2)] | None = None
    """Cut a column of numbers into this many groups of equally many patients; without it each value is a group."""


@dataclass(frozen=True)
class Patient:
    """A patient to be dealt: the value in each column to stratify by, and how many scans there are."""

    id: str
    stratum: tuple[str, ...]
    scans: int


def patients_of(
    cases: Sequence[Case], labels: Mapping[str, str], stratify: Sequence[str | ColumnConfig] | None
) -> list[Patient]:
    """The patients of a cohort, sorted by id, whatever the order of the cases; spellings of one id are one patient.

    A patient whose scans differ in a column has all their values together as one. None stands for the class, where
    there is one. Raises SplitError for columns that cannot be used.
    """
    columns = values_of(cases, labels, stratify)
    scans: dict[str, list[str]] = defaultdict(list)
    person = persons(cases)
    for case in cases:
        scans[person[case.patient]].append(case.id)
    return [
        Patient(patient, tuple(_together(values[id_] for id_ in ids) for values in columns.values()), len(ids))
        for patient, ids in sorted(scans.items())
    ]


def values_of(
    cases: Sequence[Case], labels: Mapping[str, str], stratify: Sequence[str | ColumnConfig] | None
) -> dict[str, dict[str, str]]:
    """By column to stratify by, the value of each case id. None stands for the class, where there is one."""
    if stratify is None:
        stratify = (LABEL,) if labels else ()
    known = sorted({column for case in cases for column in case.metadata} | ({LABEL} if labels else set()))
    columns: dict[str, dict[str, str]] = {}
    for item in stratify:
        given = ColumnConfig(column=item) if isinstance(item, str) else item
        if given.column in columns:
            raise SplitError(f"stratify: '{given.column}' stands there twice: remove one of them")
        cells = _cells(cases, labels, given.column, known)
        if given.bins is not None:
            columns[given.column] = _binned(cases, cells, given)
            continue
        if isinstance(item, str) and item != LABEL:
            _refuse_measurement(given.column, cells)
        columns[given.column] = {id_: cell or NONE for id_, cell in cells.items()}
    return columns


def _cells(cases: Sequence[Case], labels: Mapping[str, str], column: str, known: Sequence[str]) -> dict[str, str]:
    if column not in known:
        close = nearest(column, known)
        hint = f"; did you mean '{close}'?" if close else ""
        there = f"the cases have {', '.join(known)}" if known else "the cases have no class and no other columns"
        raise SplitError(f"stratify: no column '{column}'{hint} ({there})")
    if column == LABEL and labels:
        return {case.id: labels.get(case.id, "") for case in cases}
    return {case.id: case.metadata.get(column, "").strip() for case in cases}


def _together(values: Iterator[str]) -> str:
    """All values of a patient as one; an empty cell says nothing where another scan has the value."""
    found = set(values)
    return " + ".join(sorted(found - {NONE} or found))


def _refuse_measurement(column: str, cells: Mapping[str, str]) -> None:
    found = {cell for cell in cells.values() if cell}
    if len(found) > MANY_NUMBERS and all(_number(cell) is not None for cell in found):
        raise SplitError(
            f"stratify: '{column}' holds {len(found)} different numbers, too many groups to be divided evenly: "
            f"write {{column: {column}, bins: 4}} for groups of equally many patients, "
            f"or {{column: {column}}} where each number is the name of a group"
        )


def _binned(cases: Sequence[Case], cells: Mapping[str, str], given: ColumnConfig) -> dict[str, str]:
    """The bin of each case: that of its patient's mean, so that a patient is never in two."""
    import numpy as np

    numbers: dict[str, list[float]] = defaultdict(list)
    person = persons(cases)
    for case in cases:
        cell = cells[case.id]
        number = _number(cell)
        if cell and number is None:
            raise SplitError(f"stratify: '{given.column}' of case {case.id}: received '{cell}', expected a number")
        if number is not None:
            numbers[person[case.patient]].append(number)
    # Sorted before they are summed, since the last bit of a sum depends on the order.
    means = {patient: float(np.mean(sorted(found))) for patient, found in numbers.items()}
    if not means:
        return dict.fromkeys(cells, NONE)
    quantiles = np.quantile(list(means.values()), np.linspace(0, 1, (given.bins or 1) + 1)[1:-1], method="higher")
    edges = sorted({float(edge) for edge in quantiles} - {min(means.values())})
    bins = {patient: int(np.searchsorted(edges, mean, side="right")) for patient, mean in means.items()}
    names = _bin_names(means, bins)
    found = {case.id: bins.get(person[case.patient]) for case in cases}
    return {case_id: NONE if number is None else names[number] for case_id, number in found.items()}


def _bin_names(means: Mapping[str, float], bins: Mapping[str, int]) -> dict[int, str]:
    """Each bin by its lowest and highest number, numbered so that the names sort as the numbers do."""
    names = {}
    for number in sorted(set(bins.values())):
        found = [mean for patient, mean in means.items() if bins[patient] == number]
        names[number] = f"{number + 1}: {min(found):g} to {max(found):g}"
    return names


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
