"""Holdout by patient: shares, strata, seeds, and what becomes of very few patients."""

import random
from collections import Counter
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from hilum.case import Case
from hilum.data.splits.base import PARTS, Split
from hilum.data.splits.holdout import HoldoutConfig

MakeCases = Callable[..., list[Case]]


def patients(split: Split) -> dict[str, set[str]]:
    return {part: {case.patient for case in split.part(part)} for part in PARTS}


@pytest.mark.parametrize("count", [3, 5, 10, 101])
def test_every_case_lies_in_one_part_and_patients_stay_together(make_cases: MakeCases, count: int) -> None:
    cases = make_cases(count, 3)
    split = HoldoutConfig(val=0.2, test=0.3, seed=1).assign(cases, labels={})
    assert sorted(case.id for part in PARTS for case in split.part(part)) == sorted(case.id for case in cases)
    found = patients(split)
    assert sum(len(members) for members in found.values()) == count
    assert len(found["test"]) == max(1, round(0.3 * count))
    assert len(found["val"]) == max(1, round(0.2 * count))


def test_the_rows_may_come_in_any_order_and_the_seed_decides(make_cases: MakeCases) -> None:
    cases = make_cases(30, 2)
    labels = {case.id: str(int(case.patient[1:]) % 2) for case in cases}
    split = HoldoutConfig(seed=5).assign(cases, labels=labels)
    shuffled = random.Random(0).sample(cases, len(cases))
    assert HoldoutConfig(seed=5).assign(shuffled, labels=labels) == split
    assert HoldoutConfig(seed=6).assign(cases, labels=labels) != split


def test_classes_are_spread_in_proportion(make_cases: MakeCases) -> None:
    cases = make_cases(100)
    labels = {case.id: "sick" if int(case.patient[1:]) < 20 else "healthy" for case in cases}
    split = HoldoutConfig(val=0.25, test=0.25).assign(cases, labels=labels)
    counted = {part: Counter(labels[case.id] for case in split.part(part)) for part in PARTS}
    assert counted == {
        "train": {"healthy": 40, "sick": 10},
        "val": {"healthy": 20, "sick": 5},
        "test": {"healthy": 20, "sick": 5},
    }


def test_many_strata_of_one_patient_leave_the_choice_to_the_seed(make_cases: MakeCases) -> None:
    cases = make_cases(20)
    labels = {case.id: case.id for case in cases}
    drawn = [patients(HoldoutConfig(seed=seed).assign(cases, labels=labels))["test"] for seed in range(40)]
    assert set().union(*drawn) == {case.patient for case in cases}


@pytest.mark.parametrize(("val", "test"), [(0.0, 0.2), (0.2, 0.0), (0.0, 0.0)])
def test_a_share_of_nothing_gives_no_part(make_cases: MakeCases, val: float, test: float) -> None:
    split = HoldoutConfig(val=val, test=test).assign(make_cases(10), labels={})
    assert len(split.part("val")) == 10 * val
    assert len(split.part("test")) == 10 * test
    assert split.notes == ()


def test_two_patients_give_no_test_part_and_a_note(make_cases: MakeCases) -> None:
    split = HoldoutConfig().assign(make_cases(2, 3), labels={})
    assert {part: len(found) for part, found in patients(split).items()} == {"train": 1, "val": 1, "test": 0}
    assert "no test part" in split.notes[0]


def test_one_patient_with_one_scan_trains_and_says_what_is_missing(make_cases: MakeCases) -> None:
    split = HoldoutConfig().assign(make_cases(1), labels={})
    assert len(split.part("train")) == 1
    assert "no val or test part" in split.notes[0]


def test_one_patient_with_several_scans_is_cut_into_blocks(make_cases: MakeCases) -> None:
    split = HoldoutConfig(val=0.2, test=0.2).assign(make_cases(1, 10), labels={})
    assert [len(split.part(part)) for part in PARTS] == [6, 2, 2]
    assert "one patient" in split.notes[0]


@pytest.mark.parametrize("given", [{"val": 0.5, "test": 0.5}, {"val": 1.0}, {"test": -0.1}])
def test_impossible_shares_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        HoldoutConfig(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "val", "test", "expected"),
    [
        (10, 0.25, 0.25, (5, 2, 3)),  # halves: up for test, down for val
        (4, 0.49, 0.49, (1, 1, 2)),  # somebody is always left to train on
        (3, 0.01, 0.01, (1, 1, 1)),
        (7, 0.2, 0.2, (5, 1, 1)),
        (100, 0.29, 0.29, (42, 29, 29)),  # 0.29 * 100 is 28.999999999999996 in binary
        (50, 0.29, 0.0, (36, 14, 0)),
    ],
)
def test_parts_have_the_nearest_number_of_patients(
    make_cases: MakeCases, count: int, val: float, test: float, expected: tuple[int, int, int]
) -> None:
    found = patients(HoldoutConfig(val=val, test=test).assign(make_cases(count), labels={}))
    assert tuple(len(found[part]) for part in PARTS) == expected


def test_parts_are_even_in_every_column_and_in_scans() -> None:
    """A cohort that can be divided evenly is: 4 sites x 2 classes x 10 patients with 1 to 5 scans."""
    cases = [
        Case(f"{site}{label}{k}-{s}", f"{site}{label}{k}", (), label, metadata={"site": site})
        for site in "ABCD"
        for label in ("healthy", "sick")
        for k in range(10)
        for s in range(1 + k % 5)
    ]
    labels = {case.id: str(case.label) for case in cases}
    split = HoldoutConfig(stratify=("label", "site")).assign(cases, labels=labels)
    for part, count, scans in zip(PARTS, (6, 2, 2), (144, 48, 48), strict=True):
        found = {(c.metadata["site"], c.label, c.patient) for c in split.parts[part]}
        assert set(Counter((site, label) for site, label, _ in found).values()) == {count}
        assert len(split.parts[part]) == scans
        assert Counter(case.label for case in split.parts[part]) == {"healthy": scans // 2, "sick": scans // 2}
