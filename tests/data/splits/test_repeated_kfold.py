"""Repeats of k folds: each a division of its own, the first that of kfold."""

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from hilum.case import Case
from hilum.data.splits.kfold import KFoldConfig
from hilum.data.splits.repeated_kfold import RepeatedKFoldConfig
from hilum.errors import SplitError

MakeCases = Callable[..., list[Case]]


def test_repeats_are_drawn_anew_and_the_first_is_kfold(make_cases: MakeCases) -> None:
    cases = make_cases(20, 2)
    runs = RepeatedKFoldConfig(folds=4, repeats=3, seed=5).runs(cases)
    splits = [run.assign(cases, labels={}) for run in runs]
    assert [split.fold for split in splits] == list(range(12))
    assert [run.run_name for run in runs[3:5]] == ["repeat-0-fold-3", "repeat-1-fold-0"]
    plain = [run.assign(cases, labels={}) for run in KFoldConfig(folds=4, seed=5).runs(cases)]
    assert [split.parts for split in splits[:4]] == [split.parts for split in plain]
    divisions = [frozenset(frozenset(c.id for c in s.part("test")) for s in splits[k : k + 4]) for k in (0, 4, 8)]
    assert len(set(divisions)) == 3


def test_what_there_is_not_is_refused(make_cases: MakeCases) -> None:
    with pytest.raises(ValidationError, match="a repeat from 0 to 1, repeat is 2"):
        RepeatedKFoldConfig(repeats=2, repeat=2)
    with pytest.raises(SplitError, match="fold: received 3, expected 0 to 2; too few patients for 4 folds"):
        RepeatedKFoldConfig(folds=4, fold=3).assign(make_cases(3), labels={})
    with pytest.raises(SplitError, match="repeat: received 1, expected 0 to 0; one patient"):
        RepeatedKFoldConfig(repeat=1).assign(make_cases(1, 9), labels={})


def test_few_patients_give_fewer_folds_in_every_repeat_and_one_gives_one_repeat(make_cases: MakeCases) -> None:
    names = [run.run_name for run in RepeatedKFoldConfig(repeats=2).runs(make_cases(3, 2))]
    assert names == [f"repeat-{repeat}-fold-{fold}" for repeat in range(2) for fold in range(3)]
    assert len(RepeatedKFoldConfig(folds=4).runs(make_cases(1, 9))) == 4
