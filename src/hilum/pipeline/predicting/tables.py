"""Tables of a batch that are whole at any time: a row is added when its case is done, and nothing else is written."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hilum.formats.atomic import write_whole

Row = dict[str, str | float]


class GrowingTable:
    """A CSV file to which rows are added, one write each; absent as long as there is none.

    A row with a column that the file does not have yet makes it written anew, which happens once a column.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.rows: list[Row] = []
        self._columns: list[str] = []

    def replace(self, rows: Iterable[Row]) -> None:
        """Put these rows in place of all, in one step. Raises OSError where they cannot be written."""
        self.rows = list(rows)
        self._columns = columns(self.rows)
        if self.rows:
            write_whole(self.file, as_csv(self.rows).encode())
        else:
            self.file.unlink(missing_ok=True)

    def add(self, row: Row) -> None:
        """Add one row. Raises OSError where it cannot be written; the file then is as it was."""
        if not set(row) <= set(self._columns):
            self.replace([*self.rows, row])
            return
        append_whole(self.file, as_csv([row], self._columns, header=False))
        self.rows.append(row)


def append_whole(file: Path, line: str) -> None:
    """Add a line to a file in one write, or leave the file as it was: a full disk takes half of a line at times.

    A last line without its end, which only a power cut leaves, is closed first.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        content = (b"\n" if torn else b"") + line.encode()
        written = 0
        try:
            while written < len(content):
                written += os.write(descriptor, content[written:])
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def columns(rows: Iterable[Mapping[str, object]]) -> list[str]:
    """The columns of all rows, in the order in which they first occur."""
    return list(dict.fromkeys(name for row in rows for name in row))


def as_csv(
    rows: Sequence[Mapping[str, str | float]], names: Sequence[str] | None = None, *, header: bool = True
) -> str:
    """The rows as text; what a row does not have is left empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns(rows) if names is None else names, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
