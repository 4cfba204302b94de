"""Tables that grow: readable after every row, whole on a full disk, and written once."""

from __future__ import annotations

import csv
import errno
import os
from pathlib import Path

import pytest

from hilum.pipeline.predicting.tables import GrowingTable, Row, append_whole


def read(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_table_is_readable_after_every_row(tmp_path: Path) -> None:
    table = GrowingTable(tmp_path / "results.csv")
    table.replace([])
    assert not table.file.exists()
    rows: list[Row] = [{"case_id": 'a "b", c\nd', "organ_ml": 0.1 + 0.2}, {"case_id": "é", "organ_ml": 1e-9}]
    for count, row in enumerate(rows, start=1):
        table.add(row)
        assert [found["case_id"] for found in read(table.file)] == [one["case_id"] for one in rows[:count]]
    assert [float(row["organ_ml"]) for row in read(table.file)] == [0.1 + 0.2, 1e-9]


def test_a_column_that_joins_later_is_empty_above(tmp_path: Path) -> None:
    table = GrowingTable(tmp_path / "results.csv")
    table.add({"case_id": "a", "organ_ml": 1.0})
    table.add({"case_id": "b", "organ_pixels": 2.0})
    table.add({"case_id": "c"})
    assert read(table.file) == [
        {"case_id": "a", "organ_ml": "1.0", "organ_pixels": ""},
        {"case_id": "b", "organ_ml": "", "organ_pixels": "2.0"},
        {"case_id": "c", "organ_ml": "", "organ_pixels": ""},
    ]


def test_rows_are_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = 0
    write = os.write

    def counted(descriptor: int, content: bytes) -> int:
        nonlocal written
        done = write(descriptor, content)
        written += done
        return done

    monkeypatch.setattr(os, "write", counted)
    table = GrowingTable(tmp_path / "results.csv")
    for number in range(2000):
        table.add({"case_id": f"case-{number:04d}", "organ_ml": 1.0})
    assert len(read(table.file)) == 2000
    assert written <= table.file.stat().st_size


def test_a_full_disk_leaves_a_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "results.csv"
    append_whole(file, "one\n")
    write = os.write

    def half(descriptor: int, content: bytes) -> int:
        if len(content) < 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, content[:2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space"):
        append_whole(file, "second\n")
    assert file.read_text() == "one\n"


def test_a_torn_line_does_not_swallow_the_next_one(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    file.write_text('{"a": 1}\n{"b": ')
    append_whole(file, '{"c": 3}\n')
    assert file.read_text().splitlines() == ['{"a": 1}', '{"b": ', '{"c": 3}']
