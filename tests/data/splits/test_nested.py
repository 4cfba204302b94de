"""Nested folds: tested by exactly one outer fold, chosen on by exactly one inner fold of each of the others."""

from collections import Counter
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from hilum.case import Case
from hilum.data.splits.kfold import KFoldConfig
from hilum.data.splits.nested import NestedConfig
from hilum.errors import SplitError

MakeCases = Callable[..., list[Case]]


@pytest.mark.parametrize(("patients", "outer", "inner"), [(3, 3, 2), (4, 2, 2), (11, 3, 4), (20, 5, 3)])
def test_who_is_tested_is_not_chosen_or_trained_on(
    make_cases: MakeCases, patients: int, outer: int, inner: int
) -> None:
    cases = make_cases(patients, 2)
    ids = {case.id for case in cases}
    runs = NestedConfig(outer_folds=outer, inner_folds=inner).runs(cases)
    assert len(runs) == outer * inner
    splits = [run.assign(cases, labels={}) for run in runs]
    assert [split.fold for split in splits] == list(range(outer * inner))
    for number in range(outer):
        own = splits[number * inner : (number + 1) * inner]
        tests = {frozenset(case.id for case in split.part("test")) for split in own}
        assert len(tests) == 1
        rest = ids - next(iter(tests))
        assert Counter(case.id for split in own for case in split.part("val")) == dict.fromkeys(rest, 1)
        for split in own:
            assert {case.id for part in ("train", "val") for case in split.parts[part]} == rest
    assert Counter(c.id for s in splits[::inner] for c in s.part("test")) == dict.fromkeys(ids, 1)


def test_the_outer_folds_are_those_of_kfold(make_cases: MakeCases) -> None:
    cases = make_cases(23, 2)
    outer = [NestedConfig(outer=k, seed=4).assign(cases, labels={}).part("test") for k in range(5)]
    assert outer == [run.assign(cases, labels={}).part("test") for run in KFoldConfig(seed=4).runs(cases)]


def test_runs_are_named() -> None:
    last = NestedConfig(outer_folds=2, inner_folds=3).runs([])[-1]
    assert (last.run_name, last.test_name) == ("outer-1-inner-2", "outer-1")


@pytest.mark.parametrize(
    ("patients", "outer", "inner", "notes"),
    [
        (2, 2, 1, ["too few patients for 5 outer folds (2)", "too few patients for a val part"]),
        (3, 3, 2, ["too few patients for 5 outer folds (3)", "too few patients for 5 inner folds (2)"]),
        (5, 5, 4, ["too few patients for 5 inner folds (4): there are 4 inner folds"]),
        (6, 5, 4, ["too few patients for 5 inner folds (4)"]),
        (7, 5, 5, []),
    ],
)
def test_too_few_patients_give_fewer_folds_and_notes(
    make_cases: MakeCases, patients: int, outer: int, inner: int, notes: list[str]
) -> None:
    cases = make_cases(patients, 3)
    runs = NestedConfig().runs(cases)
    assert len(runs) == outer * inner
    for run in runs:
        split = run.assign(cases, labels={})
        assert split.part("test")
        assert bool(split.part("val")) == (inner > 1)
        assert [note.startswith(words) for note, words in zip(split.notes, notes, strict=True)] == [True] * len(notes)
    for beyond in ({"outer": outer}, {"inner": inner}):
        if beyond not in ({"outer": 5}, {"inner": 5}):
            with pytest.raises(
                SplitError, match=f"received .*, expected 0 to {next(iter(beyond.values())) - 1}; too few"
            ):
                NestedConfig.model_validate(beyond).assign(cases, labels={})


def test_one_patient_is_cut_into_blocks(make_cases: MakeCases) -> None:
    cases = make_cases(1, 9)
    runs = NestedConfig(outer_folds=3, inner_folds=2).runs(cases)
    splits = [run.assign(cases, labels={}) for run in runs]
    numbers = [["".join(case.id[-1] for case in split.part(part)) for part in ("test", "val")] for split in splits]
    assert numbers == [["012", "345"], ["012", "678"], ["345", "678"], ["345", "012"], ["678", "012"], ["678", "345"]]
    assert all("one patient" in split.notes[0] for split in splits)
    with pytest.raises(SplitError, match="a single case"):
        NestedConfig().assign(cases[:1], labels={})


@pytest.mark.parametrize("given", [{"outer": 5}, {"inner": 5}, {"outer_folds": 1}, {"inner_folds": 1}])
def test_folds_that_there_are_not_are_refused(given: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        NestedConfig.model_validate(given)
