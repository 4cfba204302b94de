"""Findings put together: each once, in order, a line a kind where they are many, and all of them as CSV."""

import csv
import io
from pathlib import Path

import pytest

from hilum.case import Case, ImageRef
from hilum.data.findings import arranged, as_csv, counted, grouped, of_case, severe, strict, table, write_csv
from hilum.errors import DataError, Finding


def empty(case: object, severity: str = "warning") -> Finding:
    return Finding(severity, "empty mask", f"c{case}", f"/data/m{case}.nii", "no voxel", fix="replace it")  # type: ignore[arg-type]


def test_each_once_errors_first_and_10_after_9() -> None:
    wrong = Finding("error", "not finite", "c3", "c3.nii")
    found = arranged([empty(10), empty(9), wrong, empty(9), empty("x")])
    assert [(finding.kind, finding.case) for finding in found] == [
        ("not finite", "c3"),
        ("empty mask", "c9"),
        ("empty mask", "c10"),
        ("empty mask", "cx"),
    ]
    assert severe(found) == [wrong]
    assert [len(group) for group in grouped(found)] == [1, 3]
    assert counted(found) == "1 error, 3 warnings"
    assert counted(strict(found)) == "4 errors, 0 warnings"


def test_a_single_finding_is_one_line_that_says_all() -> None:
    text = "warning: case c1: /data/m1.nii: empty mask: received no voxel; replace it"
    assert table([empty(1)]) == text


def test_a_few_have_a_line_each() -> None:
    head, *lines = table([empty(number) for number in range(10)]).splitlines()
    assert head == "warning: empty mask (10): replace it"
    assert [line.split() for line in lines] == [f"case c{n} m{n}.nii received no voxel".split() for n in range(10)]


def test_thousands_that_say_the_same_are_one_line() -> None:
    cases = "cases c0, c1, c2 and 4997 more (all of them: --table FILE)"
    said = table([empty(number) for number in range(5000)])
    assert said == f"warning: empty mask (5000): {cases}: received no voxel; replace it"


def test_thousands_that_differ_are_five_lines() -> None:
    found = [
        Finding("error", "shape differs", f"c{n}", f"c{n}.nii", f"{n} voxels", "7", "resample") for n in range(5000)
    ]
    lines = table(found).splitlines()
    assert lines[0] == "shape differs (5000): resample"
    assert " ".join(lines[2].split()) == "case c1 c1.nii received 1 voxels, expected 7"
    assert lines[4:] == ["    and 4997 more (all of them: --table FILE)"]


def test_the_csv_holds_all_and_reads_back(tmp_path: Path) -> None:
    found = [empty(number) for number in range(30)] + [Finding("error", 'odd, "name"', "ü\n", "a,b.nii")]
    rows = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert [Finding(**row) for row in rows] == arranged(found)  # type: ignore[arg-type]
    write_csv(found, tmp_path / "found.csv")
    assert (tmp_path / "found.csv").read_text(encoding="utf-8") == as_csv(found)
    with pytest.raises(DataError, match="cannot be written"):
        write_csv(found, tmp_path / "found.csv" / "below.csv")


def test_an_error_becomes_a_finding_that_names_case_and_file() -> None:
    case = Case("a", "p", (ImageRef(Path("a.nii")),), ImageRef(Path("m.npz"), "masks", 3))
    (broken,) = of_case(DataError("a.nii: not a readable NIfTI file (OSError)"), case)
    assert (broken.kind, broken.case, broken.file) == ("unreadable file", "a", "a.nii")
    assert broken.received == "not a readable NIfTI file (OSError)"
    assert broken.fix
    assert of_case(DataError("m.npz[masks][3]: broken"), case)[0].file == "m.npz[masks][3]"
    assert of_case(DataError("case a: has no label"), case) == [
        Finding("error", "unusable case", "a", fix="has no label")
    ]
    assert of_case(DataError([Finding("error", "4-D series", file="a.nii")]), case)[0].case == "a"
