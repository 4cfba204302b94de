"""Whose scan a case is: by table, by pattern, or unknown and said so."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hilum.errors import DataError
from hilum.sources.patients import UNKNOWN, PatientsConfig

CASES = ["sub-01_left", "sub-01_right", "sub-02_left"]


def test_regex_takes_its_first_group() -> None:
    patients = PatientsConfig(regex="^(sub-[0-9]+)_")
    assert patients.assign(CASES, folder=Path()) == dict(zip(CASES, ["sub-01", "sub-01", "sub-02"], strict=True))
    assert patients.notes == ()


def test_regex_that_misses_names_the_cases() -> None:
    with pytest.raises(DataError, match=r"finds no patient for 2 of 3 cases: sub-01_right, c"):
        PatientsConfig(regex="^(sub-[0-9]+)_left").assign(["sub-01_right", "sub-02_left", "c"], folder=Path())


def test_each_case_is_said_in_a_note() -> None:
    patients = PatientsConfig(each_case=True)
    assert patients.assign(CASES, folder=Path()) == {case: case for case in CASES}
    assert patients.notes == (UNKNOWN,)


def test_all_cases_may_be_of_one_patient() -> None:
    patients = PatientsConfig(one="stack")
    assert patients.assign(CASES, folder=Path()) == dict.fromkeys(CASES, "stack")
    assert patients.notes == ()


def test_table_is_found_beside_the_data_and_then_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.csv").write_text("patient_id,case_id,age\n007,a,1\n007,b,2\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "beside.csv").write_text("case_id,patient_id\na,8\nb,9\nunused,10\n")
    for name, expected in (("here.csv", {"a": "007", "b": "007"}), ("beside.csv", {"a": "8", "b": "9"})):
        assert PatientsConfig(table=Path(name)).assign(["a", "b"], folder=Path("data")) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("case_id,patient_id\na,1\n", "names no patient for 1 of 2 cases: b"),
        ("case_id,patient_id\na,1\nb,2\na,3\n", "case a belongs to patient 1 and to patient 3"),
        ("case,patient_id\na,1\n", "missing column: expected a column 'case_id'"),
        ("case_id,patient_id\na,\nb,1\n", "csv:2: empty cell: expected something in column 'patient_id'"),
    ],
)
def test_faults_of_a_table_are_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        PatientsConfig(table=Path("patients.csv")).assign(["a", "b"], folder=tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "received none of them"),
        ({"each_case": False}, "received none of them"),
        ({"each_case": True, "regex": "(a)"}, "received regex and each_case"),
        ({"one": "a", "table": "x.csv"}, "received table and one"),
        ({"regex": "("}, "a regular expression"),
        ({"regex": "abc"}, "a group in parentheses"),
        ({"tabel": "x.csv"}, "did you mean 'table'"),
    ],
)
def test_settings_that_say_nothing_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PatientsConfig.model_validate(settings)
