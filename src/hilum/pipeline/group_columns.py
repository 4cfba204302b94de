"""Columns of the data, such as site or sex, beside the rows that are scored, so that groups can be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hilum.case import Cohort
from hilum.data.modalities import MODALITIES
from hilum.data.splits.strata import ColumnConfig, values_of
from hilum.errors import DataError, SplitError
from hilum.evaluation.rows import GROUP_PREFIX, Row

Values = Mapping[str, Mapping[str, str]]
"""By column of the rows, the value of each case id."""


def values_by(cohort: Cohort, columns: Sequence[str | ColumnConfig]) -> Values:
    """The values of all cases in the columns of `evaluate.by`, from the whole cohort, so that bins are always the same.

    Raises DataError for columns that there are not, and for many numbers that are not cut into bins.
    """
    if not columns:
        return {}
    try:
        values = values_of(cohort.cases, cohort.labels, columns)
    except SplitError as error:
        raise DataError(f"evaluate.by: {str(error).removeprefix('stratify: ')}") from error
    return {f"{GROUP_PREFIX}{column}": found for column, found in values.items()}


def with_columns(rows: Sequence[Row], values: Values) -> list[Row]:
    """The rows with the values of their cases after the column `part`."""
    if not values:
        return list(rows)
    result: list[Row] = []
    for row in rows:
        own = {column: found[str(row["case_id"])] for column, found in values.items()}
        cells: dict[str, str | int | float | None] = {}
        for name, cell in row.items():
            cells |= {name: cell, **own} if name == "part" else {name: cell}
        result.append(cells)
    return result


def group_columns(rows: Sequence[Row]) -> list[str]:
    """The columns of rows whose values are groups."""
    return [name for name in rows[0] if name == MODALITIES or name.startswith(GROUP_PREFIX)]
