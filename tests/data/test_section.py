"""A batch of all training samples: as many as the training part has, in one step an epoch."""

from typing import Any

import pytest

from hilum.case import Case
from hilum.data.dataset import Dataset, Sampling
from hilum.data.loader import Batches
from hilum.data.section import DataConfig
from hilum.data.store import Store
from hilum.problem import Problem

SOURCE: dict[str, Any] = {"kind": "csv_table", "file": "cases.csv", "patient": "patient_id"}


def section(**settings: Any) -> DataConfig:
    return DataConfig.model_validate({"source": SOURCE, **settings})


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"batch_size": 3}, 3),
        ({"batch_size": "all"}, 7),
        ({"batch_size": "all", "patch": {"size": [8, 8], "samples_per_case": 4}}, 28),
    ],
)
def test_as_many_samples_as_an_epoch_has(settings: dict[str, Any], expected: int) -> None:
    assert section(**settings).for_cases(7) == expected


def test_every_case_is_in_the_one_step_of_an_epoch(tmp_path: Any) -> None:
    problem = Problem("classification", 2, channels=("x",), classes=("a", "b"), values=((0,), (1,)))
    cases = [Case(f"case{k}", f"case{k}", ()) for k in range(7)]
    dataset = Dataset(cases, Store(tmp_path, problem, []), sampling=Sampling(), seed=0)
    batches = Batches(dataset, batch_size=section(batch_size="all").for_cases(len(cases)), seed=0)
    assert batches.steps_per_epoch == 1
    assert sorted(batches._order(0)) == list(range(7))


@pytest.mark.parametrize("wrong", ["some", 0, 2.5])
def test_other_words_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="batch_size"):
        section(batch_size=wrong)
