"""CSV tables: text stays text, whatever spreadsheet wrote them."""

from pathlib import Path

import pytest

from hilum.errors import DataError
from hilum.sources.tables import read_table


def save(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_cells_stay_text(mark: bytes, end: str, separator: str, tmp_path: Path) -> None:
    lines = [["id", " age ", "note"], ["001", "1e3", "no"], ["", "", ""], ["12:30", " 7", ""]]
    content = end.join(separator.join(line) for line in lines) + end
    table = read_table(save(tmp_path / "table.csv", mark + content.encode()))
    assert table.columns == ("id", "age", "note")
    assert table.rows == ({"id": "001", "age": "1e3", "note": "no"}, {"id": "12:30", "age": "7", "note": ""})
    assert table.lines == (2, 4)


def test_quoted_cells_may_hold_anything(tmp_path: Path) -> None:
    table = read_table(save(tmp_path / "table.csv", 'id,note\n1,"a, b\nand ""c"""\n2,d\n'))
    assert [row["note"] for row in table.rows] == ['a, b\nand "c"', "d"]
    assert table.lines == (3, 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty, expected a header line"),
        ("\n\n", "is empty, expected a header line"),
        ("id,age,id\n", "columns stand there twice: id"),
        ("id,age\n1,2,3\n4\n", r"the header has 2 columns, line 2 has 3, line 3 has 1 \(2 such lines\)"),
        (b"id\n\xff\xfe\n", "cannot be read as a table"),
        ('id\n"open\n', "cannot be read as a table"),
    ],
)
def test_faults_are_named(content: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"table\.csv: {message}"):
        read_table(save(tmp_path / "table.csv", content))


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: cannot be read as a table .*No such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"cannot be read as a table .*directory"):
        read_table(tmp_path)


def test_missing_columns_and_cells_are_named_together(tmp_path: Path) -> None:
    table = read_table(save(tmp_path / "table.csv", "patient_id,image\np1,\n,b.png\n"))
    with pytest.raises(
        DataError, match=r"no column 'patient' \(did you mean 'patient_id'\?\), 'xyz'; the table has patient"
    ):
        table.require(["patient", "image", "xyz"])
    with pytest.raises(DataError, match="empty cells: image in line 2, patient_id in line 3"):
        table.require_cells(["image", "patient_id"])
