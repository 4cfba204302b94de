"""Batches: order and content are functions of (seed, epoch, index), whatever makes them, and threads end with them."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hilum.case import Batch, Case, Sample
from hilum.data.dataset import Dataset, Sampling
from hilum.data.loader import Batches, collate
from hilum.data.store import Store
from hilum.errors import DataError
from hilum.problem import Problem

WriteCase = Callable[..., Case]


@pytest.fixture
def batches(write_case: WriteCase, segmentation: Problem, tmp_path: Path) -> Batches:
    """Seven cases in batches of four patches."""
    cases = [write_case(f"case{k}", (6, 6, 6), seed=k) for k in range(7)]
    sampling = Sampling(patch=(3, 4, 5), foreground=0.5)
    dataset = Dataset(cases, Store(tmp_path / "cache", segmentation, []), sampling=sampling, seed=1)
    return Batches(dataset, batch_size=4, seed=1)


def equal(a: list[Batch], b: list[Batch]) -> bool:
    return len(a) == len(b) and all(
        (x.ids, x.epoch, x.indices) == (y.ids, y.epoch, y.indices)
        and torch.equal(x.images, y.images)
        and torch.equal(x.targets, y.targets)
        for x, y in zip(a, b, strict=True)
    )


def batch_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_an_epoch_can_be_had_again_and_epochs_differ(batches: Batches) -> None:
    first = list(batches.epoch(0))
    assert equal(first, list(batches.epoch(0)))
    assert [batch.ids for batch in first] != [batch.ids for batch in batches.epoch(1)]
    assert [batch.ids for batch in first] != [batch.ids for batch in replace(batches, seed=2).epoch(0)]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_number_of_workers_changes_nothing(batches: Batches, workers: int) -> None:
    many = replace(batches, samples_per_case=5)
    assert equal(list(many.epoch(2)), list(replace(many, workers=workers).epoch(2)))


@pytest.mark.parametrize("first_step", [0, 1, 4, 8, 9])
def test_an_epoch_goes_on_exactly_where_it_stopped(batches: Batches, first_step: int) -> None:
    many = replace(batches, samples_per_case=5)
    assert many.steps_per_epoch == 9
    assert equal(list(many.epoch(3))[first_step:], list(many.epoch(3, first_step=first_step)))


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_share_each_batch_and_draw_what_one_would(batches: Batches, world: int) -> None:
    alone = list(batches.epoch(1))
    ranks = [list(replace(batches, rank=rank, world=world).epoch(1)) for rank in range(world)]
    for step, whole in enumerate(alone):
        parts = [rank[step] for rank in ranks]
        assert sum((part.indices for part in parts), ()) == whole.indices
        assert sum((part.ids for part in parts), ()) == whole.ids
        assert torch.equal(torch.cat([part.images for part in parts]), whole.images)
        assert torch.equal(torch.cat([part.targets for part in parts]), whole.targets)


def test_each_pass_shows_every_case_once(batches: Batches) -> None:
    many = replace(batches, samples_per_case=4)
    ids = [id_ for batch in many.epoch(0) for id_ in batch.ids]
    assert len(ids) == 28
    passes = [ids[start : start + 7] for start in range(0, 28, 7)]
    assert all(sorted(shown) == [f"case{k}" for k in range(7)] for shown in passes)
    assert len({tuple(shown) for shown in passes}) == 4  # each pass in an order of its own


def test_the_last_batch_is_filled_up(batches: Batches) -> None:
    found = list(batches.epoch(0))
    assert batches.steps_per_epoch == len(found) == 2
    assert [len(batch.ids) for batch in found] == [4, 4]
    assert [index for batch in found for index in batch.indices] == list(range(8))
    counts = Counter(id_ for batch in found for id_ in batch.ids)
    assert sorted(counts.values()) == [1] * 6 + [2]


def test_steps_may_be_given(batches: Batches) -> None:
    assert len(list(replace(batches, steps=5).epoch(0))) == 5


def test_a_batch_larger_than_the_cohort_repeats_cases(batches: Batches) -> None:
    (batch,) = replace(batches, batch_size=16).epoch(0)
    assert len(batch.ids) == 16
    assert set(Counter(batch.ids).values()) == {2, 3}


def test_a_fault_reaches_the_caller_in_its_place_and_ends_the_threads(
    batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = replace(batches, samples_per_case=40)
    made: list[int] = []
    sample = Dataset.sample

    def breaks(dataset: Dataset, case_index: int, *, epoch: int, index: int) -> Sample:
        made.append(index)
        if index == 9:
            raise DataError("case broken: cannot be read")
        return sample(dataset, case_index, epoch=epoch, index=index)

    monkeypatch.setattr(Dataset, "sample", breaks)
    iterator = many.epoch(0)
    assert [next(iterator).indices[0] for _ in range(2)] == [0, 4]
    with pytest.raises(DataError, match="case broken"):
        next(iterator)
    assert max(made) < 4 * (2 + 2 + 2 * many.workers)  # not the whole epoch was made first
    assert batch_threads() == []


def test_closing_early_leaves_no_threads(batches: Batches) -> None:
    iterator = replace(batches, samples_per_case=40, workers=4).epoch(0)
    next(iterator)
    assert batch_threads() != []
    iterator.close()
    assert batch_threads() == []


@pytest.mark.parametrize(("dims", "shape"), [(3, (6, 5, 4)), (2, (6, 5, 1))])
def test_whole_cases_are_put_together_as_samples_are(
    write_case: WriteCase, classification: Problem, tmp_path: Path, dims: int, shape: tuple[int, int, int]
) -> None:
    labels = ["healthy", "sick", "sick"]
    cases = [write_case(f"case{k}", shape, seed=k, label=label) for k, label in enumerate(labels)]
    sampling = Sampling(slice_axis=2 if dims == 2 else None)
    store = Store(tmp_path / "cache", replace(classification, dims=dims), [])
    dataset = Dataset(cases, store, sampling=sampling, seed=1)
    (batch,) = Batches(dataset, batch_size=5, seed=1).epoch(0)
    one_by_one = [dataset.sample(int(id_[-1]), epoch=0, index=index) for index, id_ in enumerate(batch.ids)]
    assert dataset.together([0, 1]) is not None
    assert equal([batch], [collate(one_by_one, epoch=0, indices=tuple(range(5)))])
    assert batch.images.dtype == one_by_one[0].image.dtype
    assert batch.images.shape == (5, 1, *shape[:dims])
    other = Dataset([*cases, write_case("wide", (7, 5, shape[2]), label="sick")], store, sampling=sampling, seed=1)
    with pytest.raises(DataError, match="wide is"):
        list(Batches(other, batch_size=4, seed=1).epoch(0))


def test_samples_of_different_sizes_name_both_and_the_way_out() -> None:
    samples = [
        Sample("a", torch.zeros(1, 4, 4), torch.tensor(0)),
        Sample("b", torch.zeros(1, 4, 4), torch.tensor(0)),
        Sample("c", torch.zeros(1, 5, 4), torch.tensor(0)),
    ]
    with pytest.raises(DataError, match=r"a is \(1, 4, 4\), c is \(1, 5, 4\); give data\.patch\.size") as caught:
        collate(samples, epoch=0, indices=(0, 1, 2))
    assert "data.batch_size=1" in str(caught.value)
