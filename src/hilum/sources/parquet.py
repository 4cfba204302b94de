"""The cells of a Parquet file as texts: what a person would write, whatever type they are stored in."""

from __future__ import annotations

import datetime
import decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from hilum.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

EXACT = 2.0**53
"""Whole numbers up to here are the same as floats."""


def read_columns(path: Path) -> list[tuple[str, list[str]]]:
    """Names and cells of the columns in their order: nulls and NaN are empty, 55.0 is 55, ids stay as they are.

    Raises DataError for a file that cannot be read and for columns whose cells are no single values.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Not read_table: that would take the names of folders like part=1 for columns.
        table = pq.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as a Parquet table ({' '.join(str(error).split())})") from error
    nested = [field.name for field in table.schema if pa.types.is_nested(field.type)]
    if nested:
        raise DataError(f"{path}: columns whose cells are lists or structures: {', '.join(nested)}; expected texts")
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        narrow = np.float32 if pa.types.is_float32(column.type) else None
        columns.append((str(name).strip(), [_written(value, path, narrow) for value in column.to_pylist()]))
    return columns


def _written(value: Any, path: Path, narrow: type[np.float32] | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        try:
            return value.decode().strip()
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: holds bytes that are no text ({error})") from error
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, decimal.Decimal):
        return str(int(value)) if value == value.to_integral_value() else format(value.normalize(), "f")
    if isinstance(value, float):
        return _number(value, narrow)
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time() and value.tzinfo is None
        return (value.date() if midnight else value).isoformat()
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else str(value).strip()


def _number(value: float, narrow: type[np.float32] | None) -> str:
    if value != value:  # NaN, which is how data frames store an empty cell
        return ""
    if value.is_integer() and abs(value) <= EXACT:
        return str(int(value))
    return str(narrow(value)) if narrow else repr(value)
