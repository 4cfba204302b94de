"""Tables of text: CSV, TSV and Parquet files with named columns, every cell kept as one writes it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hilum.errors import DataError, Finding, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

DELIMITERS = ",;\t"
"""Comma, and what spreadsheets write where the comma is the decimal sign."""

TABBED = (".tsv", ".tab")
"""Suffixes of tables that are always separated by tabs."""

SUFFIXES = (".csv", ".tsv", ".tab", ".parquet")
"""What tables are called."""

UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Table:
    """Rows of a table as texts by column, with the line on which each row ends (its number, in a Parquet file)."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    lines: tuple[int, ...]

    def missing_columns(self, columns: Iterable[str]) -> list[Finding]:
        """A finding for each column that is not there, with the nearest that is."""
        found = []
        for column in dict.fromkeys(columns):
            if column not in self.columns:
                close = nearest(column, self.columns)
                hint = f"did you mean '{close}'? " if close else ""
                found.append(
                    Finding(
                        "error",
                        "missing column",
                        file=str(self.path),
                        expected=f"a column '{column}'",
                        fix=f"{hint}the table has {', '.join(self.columns)}",
                    )
                )
        return found

    def empty_cells(self, columns: Iterable[str]) -> list[Finding]:
        """A finding for each empty cell in the given columns."""
        wanted = tuple(dict.fromkeys(columns))
        return [
            Finding("error", "empty cell", file=f"{self.path}:{line}", expected=f"something in column '{column}'")
            for row, line in zip(self.rows, self.lines, strict=True)
            for column in wanted
            if not row[column]
        ]

    def require(self, columns: Iterable[str]) -> None:
        """Raise one DataError for all columns that are not there, each with the nearest that is."""
        found = self.missing_columns(columns)
        if found:
            raise DataError(found)

    def require_cells(self, columns: Iterable[str]) -> None:
        """Raise one DataError for all empty cells in the given columns."""
        found = self.empty_cells(columns)
        if found:
            raise DataError(found)


def read_table(path: Path) -> Table:
    """A table in UTF-8, with or without a byte order mark, separated by commas, semicolons or tabs, or in Parquet.

    Cells stay text ("001" stays "001") but lose blanks around them. Raises DataError for a missing or unreadable file,
    another encoding, a column that stands there twice, and rows that are longer or shorter than the header.
    """
    numbered = _from_parquet(path) if path.suffix.lower() == ".parquet" else _from_text(path)
    if not numbered:
        raise DataError(f"{path}: is empty, expected a header line with the names of the columns")
    (_, header), *body = numbered
    repeated = sorted({column for column in header if header.count(column) > 1})
    if repeated:
        raise DataError(f"{path}: columns stand there twice: {', '.join(column or '(no name)' for column in repeated)}")
    uneven = [f"line {line} has {len(row)}" for line, row in body if len(row) != len(header)]
    if uneven:
        raise DataError(
            f"{path}: the header has {len(header)} columns, {', '.join(uneven[:5])} ({len(uneven)} such lines)"
        )
    rows = tuple(dict(zip(header, row, strict=True)) for _, row in body)
    return Table(path, tuple(header), rows, tuple(line for line, _ in body))


def _from_text(path: Path) -> list[tuple[int, list[str]]]:
    """The header and the rows that are not blank, each with its line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            delimiter = "\t" if path.suffix.lower() in TABBED else max(DELIMITERS, key=first.count)
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            return [
                (reader.line_num, [cell.strip() for cell in row]) for row in reader if any(cell.strip() for cell in row)
            ]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: {_other_encoding(path)}; save it as UTF-8 (CSV UTF-8)") from error
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table ({error})") from error


def _other_encoding(path: Path) -> str:
    """What a file that is no UTF-8 seems to be."""
    content = path.read_bytes()
    if content.startswith(UTF16_MARKS):
        return "is not in UTF-8 but in UTF-16"
    try:
        content.decode()
    except UnicodeDecodeError as error:
        byte, line = content[error.start : error.start + 1], content.count(b"\n", 0, error.start) + 1
        as_windows = byte.decode("cp1252", errors="ignore")
        seems = f", '{as_windows}' in Windows' cp1252, which it seems to be in" if as_windows else ""
        return f"is not in UTF-8: byte 0x{byte.hex()} in line {line}{seems}"
    return "was changed while it was read"


def _from_parquet(path: Path) -> list[tuple[int, list[str]]]:
    """The names of the columns and the rows as text, blank ones left out, each with its number from 1."""
    from hilum.sources.parquet import read_columns

    columns = read_columns(path)
    if not columns:
        return []
    rows = zip(*(cells for _, cells in columns), strict=True)
    numbered = [(number, list(row)) for number, row in enumerate(rows, start=1) if any(row)]
    return [(0, [name for name, _ in columns]), *numbered]
