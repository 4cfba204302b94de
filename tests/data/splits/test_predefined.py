"""Official parts, and tables of parts: taken as they are, or refused with the reason."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hilum.case import Case
from hilum.data.splits.holdout import HoldoutConfig
from hilum.data.splits.kfold import KFoldConfig
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
        ("case_id,part\n1,train\n2,\n3,test\n4,train\n", "csv:3: empty cell: expected something in column 'part'"),
        ("case_id,part\n1,train\n2,val\n3,test\n4,train\n4,test\n", "more than once, such as 4"),
        ("case_id,part\n1,train\n2,val\n3,test\n4,test\n", r"ann \(train and test\)"),
        ("case,part\n1,train\n", r"missing column: expected a column 'case_id'; did you mean 'case'\?"),
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


# -------------------------------------------------------------------------------------------------- folds
def folds(folder: Path, content: object, fold: int | None = None) -> PredefinedConfig:
    file = folder / "splits_final.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return PredefinedConfig(file=file, fold=fold)


TWO = [{"train": ["1", "4", "2"], "val": ["3"]}, {"train": ["3", "2"], "val": ["1", "4"]}]


def test_the_folds_of_splits_final_json(tmp_path: Path) -> None:
    config = folds(tmp_path, TWO)
    assert [run.run_name for run in config.runs(CASES)] == ["fold-0", "fold-1"]
    first, second = (run.assign(CASES, labels={}) for run in config.runs(CASES))
    assert [ids(first.part("train")), ids(first.part("val")), first.fold] == [["1", "2", "4"], ["3"], 0]
    assert [ids(second.part("train")), ids(second.part("val")), second.fold] == [["2", "3"], ["1", "4"], 1]
    only = folds(tmp_path, TWO[:1])
    assert only.assign(CASES, labels={}).parts == first.parts
    assert only.runs(CASES) == (only,)


@pytest.mark.parametrize(
    ("content", "fold", "message"),
    [
        (TWO, None, r"holds 2 folds: say which one with data\.split\.fold \(0, 1\)"),
        (TWO, 2, "received fold 2, expected one of 0, 1"),
        (
            [{"train": ["1", "2"], "val": ["3"]}],
            0,
            r"1 cases have no part, such as 4; add them to .*splits_final\.json",
        ),
        ([{"train": ["1", "2"], "val": ["3", "4"]}], 0, r"ann \(train and val\)"),
        ([{"train": ["1", "2", "4"], "val": ["3", "2"]}], 0, "1 cases of fold 0 stand there more than once: 2"),
        ([{"train": ["1", "2", "4"], "valid": ["3"]}], 0, "received part 'valid'.*did you mean 'val'"),
        ([["1"]], 0, "fold 0 is something else; expected a list with"),
        ([{"train": [1, 2, 3, 4]}], 0, "fold 0 is something else"),
        ({"train": ["1"]}, 0, "expected a list with"),
        ([], 0, "expected a list with"),
        ("[{", 0, "cannot be read"),
        ("[" * 100_000, 0, "cannot be read"),
        ('[{"train": ["1"], "train": ["2"]}]', 0, "train, train: a name stands there twice"),
    ],
)
def test_a_wrong_file_of_folds_is_refused(tmp_path: Path, content: object, fold: int | None, message: str) -> None:
    with pytest.raises(SplitError, match=message):
        folds(tmp_path, content, fold).assign(CASES, labels={})


def test_cases_that_only_the_folds_have_are_noted(tmp_path: Path) -> None:
    more = [{"train": [*TWO[0]["train"], "9"], "val": TWO[0]["val"]}]
    assert "1 cases" in folds(tmp_path, more).assign(CASES, labels={}).notes[0]


def test_a_table_may_hold_several_folds(tmp_path: Path) -> None:
    rows = [f"{case_id},{part},{number}" for number, fold in enumerate(TWO) for part in fold for case_id in fold[part]]
    config = table(tmp_path, "\n".join(["case_id,part,fold", *rows]))
    assert [run.assign(CASES, labels={}) for run in config.runs(CASES)] == [
        run.assign(CASES, labels={}) for run in folds(tmp_path, TWO).runs(CASES)
    ]
    with pytest.raises(SplitError, match="holds 2 folds"):
        config.assign(CASES, labels={})


@pytest.mark.parametrize(
    ("text", "fold", "message"),
    [
        ("case_id,part,fold\n1,train,one\n", None, "column 'fold' holds one, expected whole numbers"),
        ("case_id,part,fold\n1,train,0\n2,val,\n", None, "some rows have a fold and 1 have none"),
        ("case_id,part\n1,train\n2,val\n3,test\n4,train\n", 0, "received fold 0, expected no data.split.fold"),
    ],
)
def test_folds_of_a_table_that_make_no_sense_are_refused(
    tmp_path: Path, text: str, fold: int | None, message: str
) -> None:
    with pytest.raises(SplitError, match=message):
        table(tmp_path, text).model_copy(update={"fold": fold}).assign(CASES, labels={})


def test_the_fold_of_a_run_is_kept(tmp_path: Path) -> None:
    cases = [Case(f"{k:03d}", f"p{k}", ()) for k in range(10)]
    split = KFoldConfig(fold=3).assign(cases, labels={})
    assert table(tmp_path, split.as_csv()).assign(cases, labels={}) == split


def test_the_parts_of_a_source_have_no_folds() -> None:
    with pytest.raises(SplitError, match="have no folds"):
        PredefinedConfig(fold=1).assign(CASES, labels={})


def test_cases_that_are_scored_in_several_folds_are_noted(tmp_path: Path) -> None:
    overlapping = [{"train": ["1", "4", "2"], "val": ["3"]}, {"train": ["1", "4"], "val": ["2", "3"]}]
    (note,) = folds(tmp_path, overlapping, 0).assign(CASES, labels={}).notes
    assert note.startswith("1 cases are in the val part of several folds")
    assert note.endswith(": 3; scores pooled over the folds count them more than once")
    assert folds(tmp_path, TWO, 0).assign(CASES, labels={}).notes == ()


def test_two_spellings_in_two_parts_of_a_table_are_refused(tmp_path: Path) -> None:
    cases = [replace(CASES[0], patient="P1"), CASES[1], replace(CASES[2], patient="p01")]
    with pytest.raises(SplitError, match=r"P1 or p01 \(train and test\)"):
        PredefinedConfig().assign(cases, labels={})


@pytest.mark.parametrize(
    ("patients", "message"),
    [
        (("9", "9", "9", "9"), r"parts\.csv: patients in more than one part: 1, such as 9 \(test, train, val\)"),
        (
            ("ann", "eve", "cid", "ann"),
            r"1 cases of .*parts\.csv have another patient in the data, such as 2 \(eve there, bob in the data\)",
        ),
        (("1", "2", "3", "1"), r"4 cases of .*parts\.csv .* 1 \(1 there, ann in the data\), 2 \(2 there, bob"),
    ],
)
def test_the_patients_of_a_table_have_to_be_those_of_the_data(
    tmp_path: Path, patients: tuple[str, ...], message: str
) -> None:
    parts = ("train", "val", "test", "train")
    rows = [f"{case.id},{patient},{part}" for case, patient, part in zip(CASES, patients, parts, strict=True)]
    with pytest.raises(SplitError, match=message):
        table(tmp_path, "\n".join(["case_id,patient_id,part", *rows])).assign(CASES, labels={})


def test_patients_of_a_table_are_compared_within_a_fold_in_any_spelling_where_they_are_given(tmp_path: Path) -> None:
    text = "case_id,patient_id,part,fold\n1,ANN,train,0\n2,,val,0\n3,cid,test,0\n4,ann,train,0\n"
    other = "1,ann,test,1\n2,bob,val,1\n3,cid,train,1\n4,ann,test,1\n"
    split = table(tmp_path, text + other).model_copy(update={"fold": 0}).assign(CASES, labels={})
    assert ids(split.part("train")) == ["1", "4"]
