"""k folds by patient: each case is tested exactly once, whatever its patient's other scans."""

from collections import Counter
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from hilum.case import Case
from hilum.data.splits.base import PARTS
from hilum.data.splits.kfold import KFoldConfig
from hilum.errors import SplitError

MakeCases = Callable[..., list[Case]]


@pytest.mark.parametrize(("patients", "folds"), [(5, 5), (13, 5), (40, 3), (2, 2)])
def test_every_case_is_in_the_test_part_of_one_fold(make_cases: MakeCases, patients: int, folds: int) -> None:
    cases = make_cases(patients, 2)
    splits = [KFoldConfig(folds=folds, fold=fold).assign(cases, labels={}) for fold in range(folds)]
    assert Counter(case.id for split in splits for case in split.part("test")) == {case.id: 1 for case in cases}
    assert [split.fold for split in splits] == list(range(folds))
    sizes = [len(split.part("test")) for split in splits]
    assert max(sizes) - min(sizes) <= 2  # one patient of two scans
    for split in splits:
        assert sum(len(split.part(part)) for part in PARTS) == len(cases)


def test_folds_show_each_class_equally_often(make_cases: MakeCases) -> None:
    cases = make_cases(53)
    labels = {case.id: "rare" if int(case.patient[1:]) < 11 else "common" for case in cases}
    folds = [KFoldConfig(folds=5, fold=fold).assign(cases, labels=labels).part("test") for fold in range(5)]
    rare = [sum(labels[case.id] == "rare" for case in fold) for fold in folds]
    assert max(rare) - min(rare) <= 1
    assert max(map(len, folds)) - min(map(len, folds)) <= 1


def test_rows_in_another_order_make_the_same_folds(make_cases: MakeCases) -> None:
    cases = make_cases(17, 2)
    config = KFoldConfig(folds=4, fold=2, seed=9)
    assert config.assign(cases[::-1], labels={}) == config.assign(cases, labels={})


def test_two_patients_in_two_folds_have_no_val_part_and_a_note(make_cases: MakeCases) -> None:
    split = KFoldConfig(folds=2).assign(make_cases(2), labels={})
    assert [len(split.part(part)) for part in PARTS] == [1, 0, 1]
    assert "val" in split.notes[0]


def test_fewer_patients_than_folds_give_fewer_folds_and_a_note(make_cases: MakeCases) -> None:
    cases = make_cases(4, 3)
    runs = KFoldConfig().runs(cases)
    splits = [run.assign(cases, labels={}) for run in runs]
    assert [run.run_name for run in runs] == ["fold-0", "fold-1", "fold-2", "fold-3"]
    assert Counter(case.id for split in splits for case in split.part("test")) == {case.id: 1 for case in cases}
    assert {split.notes for split in splits} == {("too few patients for 5 folds (4): there are 4 folds",)}
    with pytest.raises(SplitError, match=r"fold: received 4, expected 0 to 3; too few patients for 5 folds \(4\)"):
        KFoldConfig(fold=4).assign(cases, labels={})


def test_one_patient_is_cut_into_blocks_that_follow_each_other(make_cases: MakeCases) -> None:
    cases = make_cases(1, 10)
    runs = KFoldConfig(folds=3, val=0.3).runs(cases[::-1])
    splits = [run.assign(cases[::-1], labels={}) for run in runs]
    numbers = [
        ["".join(case.id[-1] for case in split.part(part)) for part in ("test", "val", "train")] for split in splits
    ]
    # What follows the tested block is chosen on, round the end to the beginning.
    assert numbers == [["0123", "45", "6789"], ["456", "78", "01239"], ["789", "01", "23456"]]
    assert all("no score says anything about other patients" in split.notes[0] for split in splits)
    assert len(KFoldConfig().runs(cases[:2])) == 2
    few = KFoldConfig().assign(cases[:2], labels={})
    assert [len(few.part(part)) for part in PARTS] == [1, 0, 1]
    assert few.notes[1:] == (
        "too few scans of one patient for 5 folds (2): there are 2 folds",
        "too few scans for a val part: one is left to train on",
    )
    with pytest.raises(SplitError, match=r"a single case cannot be trained on and tested: \{kind: all\}"):
        KFoldConfig().assign(cases[:1], labels={})


def test_runs_are_all_folds_whichever_is_given() -> None:
    runs = KFoldConfig(folds=3, fold=2, seed=4).runs([])
    assert [(run.fold, run.seed, run.run_name) for run in runs] == [
        (0, 4, "fold-0"),
        (1, 4, "fold-1"),
        (2, 4, "fold-2"),
    ]


def test_a_fold_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValidationError, match="0 to 2"):
        KFoldConfig(folds=3, fold=3)
