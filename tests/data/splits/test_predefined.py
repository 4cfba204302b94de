"""Official parts, and tables of parts: taken as they are, or refused with the reason."""

from dataclasses import replace
from pathlib import Path

import pytest

from hilum.case import Case
from hilum.data.splits.holdout import HoldoutConfig
from hilum.data.splits.predefined import PredefinedConfig
from hilum.errors import SplitError

CASES = [
    Case("1", "ann", (), part="train"),
    Case("2", "bob", (), part="val"),
    Case("3", "cid", (), part="test"),
    Case("4", "ann", (), part="train"),
]


def ids(cases: tuple[Case, ...]) -> list[str]:
    return [case.id for case in cases]


def table(folder: Path, text: str) -> PredefinedConfig:
    file = folder / "parts.csv"
    file.write_text(text, encoding="utf-8")
    return PredefinedConfig(file=file)


def test_the_parts_of_the_source_are_kept() -> None:
    split = PredefinedConfig().assign(CASES, labels={})
    assert [ids(split.part("train")), ids(split.part("val")), ids(split.part("test"))] == [["1", "4"], ["2"], ["3"]]


def test_a_table_goes_before_the_source(tmp_path: Path) -> None:
    config = table(tmp_path, "part;case_id\ntrain;2\ntest;1\nval;3\ntest;4\n")
    split = config.assign(CASES, labels={})
    assert [ids(split.part("train")), ids(split.part("val")), ids(split.part("test"))] == [["2"], ["3"], ["1", "4"]]


def test_the_split_of_another_run_can_be_used_again(tmp_path: Path) -> None:
    cases = [Case(f"{k:03d}", f"p{k}", ()) for k in range(10)]
    split = HoldoutConfig().assign(cases, labels={})
    assert table(tmp_path, split.as_csv()).assign(cases, labels={}) == split


def test_cases_that_only_the_table_has_are_noted(tmp_path: Path) -> None:
    split = table(tmp_path, "case_id,part\n1,train\n2,val\n3,test\n4,train\n5,test\n").assign(CASES, labels={})
    assert split.notes == (f"1 cases of {tmp_path / 'parts.csv'} are not in the data, such as 5",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case_id,part\n1,train\n2,val\n3,test\n", r"1 cases have no part, such as 4; add them to .*parts\.csv"),
        ("case_id,part\n1,train\n2,validation\n3,test\n4,train\n", "received part 'validation', expected train, val"),
        ("case_id,part\n1,train\n2,\n3,test\n4,train\n", "empty cells: part in line 3"),
        ("case_id,part\n1,train\n2,val\n3,test\n4,train\n4,test\n", "more than once, such as 4"),
        ("case_id,part\n1,train\n2,val\n3,test\n4,test\n", r"ann \(train and test\)"),
        ("case,part\n1,train\n", r"no column 'case_id' \(did you mean 'case'\?\)"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SplitError, match=message):
        table(tmp_path, text).assign(CASES, labels={})


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match=r"parts\.csv: cannot be read"):
        PredefinedConfig(file=tmp_path / "parts.csv").assign(CASES, labels={})


def test_a_source_without_parts_is_told_to_give_a_table() -> None:
    with pytest.raises(SplitError, match=r"1 cases have no part, such as 2; .* give data\.split\.file"):
        PredefinedConfig().assign([CASES[0], replace(CASES[1], part=None)], labels={})


def test_a_patient_in_two_official_parts_is_refused() -> None:
    with pytest.raises(SplitError, match=r"ann \(train and val\)"):
        PredefinedConfig().assign([CASES[0], replace(CASES[3], part="val")], labels={})
