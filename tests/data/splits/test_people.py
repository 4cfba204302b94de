"""Spellings of one id are one patient; names of files, which stand for unknown patients, are not."""

import random

import pytest

from hilum.case import Case
from hilum.data.splits.base import Split
from hilum.data.splits.holdout import HoldoutConfig
from hilum.data.splits.kfold import KFoldConfig
from hilum.data.splits.leave_one_group_out import LeaveOneGroupOutConfig
from hilum.data.splits.people import named_persons, persons
from hilum.data.splits.strata import ColumnConfig, patients_of

SPELLINGS = ["p1", "P1", " p1 ", "P01", "p-1", "p_001"]


def scans(*patients: str) -> list[Case]:
    return [Case(f"scan {k}", patient, ()) for k, patient in enumerate(patients)]


def test_spellings_of_an_id_stand_for_one_person() -> None:
    found = persons(scans(*SPELLINGS, "p2", "p11", "1p"))
    assert len({found[spelling] for spelling in SPELLINGS}) == 1
    assert [found[other] for other in ("p2", "p11", "1p")] == ["p2", "p11", "1p"]
    assert persons(scans("7.0", "7", "007")) == dict.fromkeys(("7.0", "7", "007"), "007")


def test_names_of_files_stay_apart() -> None:
    assumed = [Case(name, name, ()) for name in ("img 1", "img_01")]
    assert named_persons(assumed) == {"img 1": "img 1", "img_01": "img_01"}
    assert named_persons([*assumed, *scans("P1", "p1")]) == {
        "img 1": "img 1",
        "img_01": "img_01",
        "P1": "P1",
        "p1": "P1",
    }
    assert Split({"train": (assumed[0],), "test": (assumed[1],)}).part("test")


@pytest.mark.parametrize("seed", range(5))
def test_no_drawn_split_parts_them(seed: int) -> None:
    cases = [
        Case(f"scan {k}", name, (), metadata={"site": "AB"[k % 2], "age": str(20 + k)})
        for k, name in enumerate([*SPELLINGS, "p2", "p3", "p4", "p5"])
    ]
    random.Random(seed).shuffle(cases)
    for split in (
        HoldoutConfig(seed=seed).assign(cases, labels={}),
        *(run.assign(cases, labels={}) for run in KFoldConfig(seed=seed, folds=5).runs(cases)),
    ):
        own = [part for part, found in split.parts.items() for case in found if case.patient in SPELLINGS]
        assert len(set(own)) == 1
        assert len(own) == 6
    held_out = LeaveOneGroupOutConfig(by="site", group="A").assign(cases, labels={})
    assert not {case.patient for case in held_out.part("train") + held_out.part("val")} & set(SPELLINGS)


def test_they_are_counted_and_binned_as_one_patient() -> None:
    cases = [
        Case(f"scan {k}", name, (), metadata={"age": age})
        for k, (name, age) in enumerate([("p1", "20"), ("P1", "60"), ("p2", "30"), ("p3", "50")])
    ]
    found = patients_of(cases, {}, [ColumnConfig(column="age", bins=3)])
    assert [(patient.id, patient.stratum, patient.scans) for patient in found] == [
        ("P1", ("2: 40 to 40",), 2),
        ("p2", ("1: 30 to 30",), 1),
        ("p3", ("3: 50 to 50",), 1),
    ]


def test_one_patient_under_two_spellings_is_one_patient() -> None:
    split = HoldoutConfig().assign(scans("p1", "P1", "p1", "P1", "P01"), labels={})
    assert "one patient" in split.notes[0]
