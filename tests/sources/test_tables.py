"""CSV tables: text stays text, whatever spreadsheet wrote them."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

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
        ("id,,\n1,2,3\n", r"columns stand there twice: \(no name\)"),
        ("id,name\n1,M\u00fcller\n".encode("cp1252"), "is not in UTF-8: byte 0xfc in line 2, 'ü' in Windows' cp1252"),
        ("id\n1\n".encode("utf-16"), "is not in UTF-8 but in UTF-16; save it as UTF-8"),
        (b"id\n\x81\n", "is not in UTF-8: byte 0x81 in line 2; save"),
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
    with pytest.raises(DataError) as caught:
        table.require(["patient", "image", "xyz"])
    assert [(one.kind, one.expected) for one in caught.value.findings] == [
        ("missing column", "a column 'patient'"),
        ("missing column", "a column 'xyz'"),
    ]
    assert caught.value.findings[0].fix == "did you mean 'patient_id'? the table has patient_id, image"
    with pytest.raises(DataError) as caught:
        table.require_cells(["image", "patient_id"])
    assert [(one.file.rpartition(":")[2], one.expected) for one in caught.value.findings] == [
        ("2", "something in column 'image'"),
        ("3", "something in column 'patient_id'"),
    ]


def test_tabs_separate_where_the_suffix_says_so(tmp_path: Path) -> None:
    content = "id\tnote\n1\ta,b;c,d\n"
    assert read_table(save(tmp_path / "table.tsv", content)).rows == ({"id": "1", "note": "a,b;c,d"},)
    commas = read_table(save(tmp_path / "table.tsv", "a,b,c\td\n1,2,3\t4\n"))
    assert commas.columns == ("a,b,c", "d")


def test_blank_lines_at_the_end_and_a_lone_header(tmp_path: Path) -> None:
    assert read_table(save(tmp_path / "table.csv", "id,a\n1,2\n,\n\n \n")).lines == (2,)
    assert read_table(save(tmp_path / "table.csv", "id,a\n")).rows == ()


def test_parquet_cells_are_what_one_would_write(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, tuple[Any, list[str]]] = {
        "id": (pa.array(["001", " 1e3 ", None]), ["001", "1e3", ""]),
        "age": (pa.array([55, None, 7], pa.int32()), ["55", "", "7"]),
        "from_pandas": (pa.array([55.0, float("nan"), 7.0]), ["55", "", "7"]),
        "score": (pa.array([0.1, 1e-9, -2.5]), ["0.1", "1e-09", "-2.5"]),
        "narrow": (pa.array([0.1, None, 3.0], pa.float32()), ["0.1", "", "3"]),
        "flag": (pa.array([True, False, None]), ["true", "false", ""]),
        "site": (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        "price": (pa.array([Decimal("1.50"), Decimal("2.00"), Decimal("-10.25")]), ["1.5", "2", "-10.25"]),
        "day": (pa.array([date(2020, 2, 29), None, date(1999, 1, 1)]), ["2020-02-29", "", "1999-01-01"]),
        "time": (
            pa.array([datetime(2020, 2, 29), datetime(2020, 1, 1, 7), None]),
            ["2020-02-29", "2020-01-01T07:00:00", ""],
        ),
        "raw": (pa.array([b"x", b"y", None]), ["x", "y", ""]),
        "big": (pa.array([1e300, 2.0**60, -0.0]), ["1e+300", "1.152921504606847e+18", "0"]),
    }  # fmt: skip
    file = tmp_path / "part=1" / "table.parquet"
    file.parent.mkdir()
    pq.write_table(pa.table({name: cells for name, (cells, _) in columns.items()}), file)
    table = read_table(file)
    assert table.columns == tuple(columns)
    assert {name: [row[name] for row in table.rows] for name in columns} == {
        name: expected for name, (_, expected) in columns.items()
    }
    assert table.lines == (1, 2, 3)


def test_faults_of_parquet_files_are_named(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pytest.raises(DataError, match="cannot be read as a Parquet table"):
        read_table(save(tmp_path / "table.parquet", "id,a\n1,2\n"))
    with pytest.raises(DataError, match="cannot be read as a Parquet table"):
        read_table(tmp_path / "none.parquet")
    pq.write_table(pa.table({"id": [1], "lists": [[1, 2]]}), tmp_path / "table.parquet")
    with pytest.raises(DataError, match="lists or structures: lists"):
        read_table(tmp_path / "table.parquet")
    pq.write_table(pa.table({"raw": [b"\xff"]}), tmp_path / "table.parquet")
    with pytest.raises(DataError, match="bytes that are no text"):
        read_table(tmp_path / "table.parquet")
    pq.write_table(pa.table({}), tmp_path / "table.parquet")
    with pytest.raises(DataError, match="is empty, expected a header"):
        read_table(tmp_path / "table.parquet")
