"""What splits balance in a multilabel task and in a regression."""

from __future__ import annotations

from collections import Counter

import pytest

from hilum.case import Case, Cohort
from hilum.data.splits.holdout import HoldoutConfig
from hilum.registry import parse
from hilum.tasks.base import TaskConfig


def strata(task: dict[str, object], cases: list[Case]) -> dict[str, str]:
    config = parse("tasks", task)
    assert isinstance(config, TaskConfig)
    return config.strata(Cohort(tuple(cases), ("image",)))


def test_quarters_hold_equally_many_patients() -> None:
    cases = [Case(f"c{number}", f"p{number}", (), str(number * 1.5)) for number in range(40)]
    found = strata({"kind": "regression", "targets": {"age": "years"}}, cases)
    assert Counter(found.values()) == {f"quarter {number}": 10 for number in range(1, 5)}
    assert found["c0"] == "quarter 1"
    assert found["c39"] == "quarter 4"


def test_a_patient_is_in_one_quarter() -> None:
    cases = [Case(f"c{number}", f"p{number // 2}", (), str(number % 2 * 100 + number)) for number in range(20)]
    found = strata({"kind": "regression", "targets": "age"}, cases)
    assert all(found[f"c{number}"] == found[f"c{number + 1}"] for number in range(0, 20, 2))


def test_the_rarest_finding_of_a_patient_counts() -> None:
    labels = ["a", "a|b", "a", "nothing", "a|c|b", "b", "a"]
    cases = [Case(f"c{number}", f"p{number}", (), label) for number, label in enumerate(labels)]
    cases.append(Case("later", "p0", (), "c"))  # of the first patient, who thereby has a and c
    found = strata({"kind": "multilabel", "classes": ["a", "b", "c"], "nothing": ["nothing"]}, cases)
    assert found == {
        "c0": "c",
        "later": "c",
        "c1": "b",
        "c2": "a",
        "c3": "none",
        "c4": "c",
        "c5": "b",
        "c6": "a",
    }


@pytest.mark.parametrize("seed", range(3))
def test_every_part_gets_its_share_of_a_rare_finding(seed: int) -> None:
    labels = ["rare|common" if number < 8 else "common" if number % 2 else "none" for number in range(80)]
    cases = [Case(f"c{number}", f"p{number}", (), label) for number, label in enumerate(labels)]
    found = strata({"kind": "multilabel", "classes": ["rare", "common"], "nothing": ["none"]}, cases)
    split = HoldoutConfig(val=0.25, test=0.25, seed=seed).assign(cases, labels=found)
    counts = {part: sum("rare" in str(case.label) for case in split.part(part)) for part in ("train", "val", "test")}
    assert counts == {"train": 4, "val": 2, "test": 2}
