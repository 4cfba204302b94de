"""Tables of text: CSV files with a header line, every cell kept as it is written."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hilum.errors import DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

DELIMITERS = ",;\t"
"""Comma, and what spreadsheets write where the comma is the decimal sign."""


@dataclass(frozen=True)
class Table:
    """Rows of a CSV file as texts by column, with the line on which each row ends."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    lines: tuple[int, ...]

    def require(self, columns: Iterable[str]) -> None:
        """Raise one DataError for all columns that are not there, each with the nearest that is."""
        missing = []
        for column in dict.fromkeys(columns):
            if column not in self.columns:
                close = nearest(column, self.columns)
                missing.append(f"'{column}'" + (f" (did you mean '{close}'?)" if close else ""))
        if missing:
            raise DataError(f"{self.path}: no column {', '.join(missing)}; the table has {', '.join(self.columns)}")

    def require_cells(self, columns: Iterable[str]) -> None:
        """Raise one DataError for all empty cells in the given columns."""
        wanted = tuple(dict.fromkeys(columns))
        empty = [
            f"{column} in line {line}"
            for row, line in zip(self.rows, self.lines, strict=True)
            for column in wanted
            if not row[column]
        ]
        if empty:
            shown = ", ".join(empty[:5]) + (f" and {len(empty) - 5} more" if len(empty) > 5 else "")
            raise DataError(f"{self.path}: empty cells: {shown}")


def read_table(path: Path) -> Table:
    """A CSV file in UTF-8, with or without a byte order mark, separated by commas, semicolons or tabs.

    Cells stay text ("001" stays "001") but lose blanks around them. Raises DataError for a missing or unreadable file,
    a column that stands there twice, and rows that are longer or shorter than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            delimiter = max(DELIMITERS, key=first.count)
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            numbered = [
                (reader.line_num, [cell.strip() for cell in row]) for row in reader if any(cell.strip() for cell in row)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table ({error})") from error
    if not numbered:
        raise DataError(f"{path}: is empty, expected a header line with the names of the columns")
    (_, header), *body = numbered
    repeated = sorted({column for column in header if header.count(column) > 1})
    if repeated:
        raise DataError(f"{path}: columns stand there twice: {', '.join(repeated)}")
    uneven = [f"line {line} has {len(row)}" for line, row in body if len(row) != len(header)]
    if uneven:
        raise DataError(
            f"{path}: the header has {len(header)} columns, {', '.join(uneven[:5])} ({len(uneven)} such lines)"
        )
    rows = tuple(dict(zip(header, row, strict=True)) for _, row in body)
    return Table(path, tuple(header), rows, tuple(line for line, _ in body))
