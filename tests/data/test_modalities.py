"""Channels that cases lack, from the files to the batch: what is missing stays so, and touches nothing else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hilum.case import Case, Cohort
from hilum.data.dataset import Dataset, Sampling
from hilum.data.hashes import data_sha256
from hilum.data.loader import Batches
from hilum.data.modalities import drop_channels, missing_faults, modalities, unseen_faults, with_missing
from hilum.data.prepared import prepare_case
from hilum.data.section import MissingConfig
from hilum.data.store import Store
from hilum.errors import DataError
from hilum.prepare.base import PrepareConfig
from hilum.prepare.canonical import CanonicalConfig
from hilum.prepare.crop_foreground import CropForegroundConfig
from hilum.prepare.spacing import SpacingConfig
from hilum.prepare.zscore import ZscoreConfig
from hilum.problem import Problem

WriteCase = Callable[..., Case]
CHANNELS = ("flair", "t1c")


@pytest.fixture
def pair(write_case: WriteCase) -> Callable[..., Case]:
    """A case of two images; `lacks` is the one that it does not have."""

    def make(name: str, *, lacks: int | None = None, shape: tuple[int, int, int] = (12, 10, 8), seed: int = 1) -> Case:
        first, second = write_case(f"{name}-a", shape, seed=seed), write_case(f"{name}-b", shape, seed=seed + 100)
        images = [first.images[0], second.images[0]]
        if lacks is not None:
            images[lacks] = None
        return replace(first, id=name, patient=name, images=tuple(images))

    return make


def two_channels(problem: Problem) -> Problem:
    return replace(problem, channels=CHANNELS)


def test_a_case_is_named_after_what_it_has(pair: Callable[..., Case]) -> None:
    assert [modalities(pair("x", lacks=lacks), CHANNELS) for lacks in (None, 0, 1)] == ["flair+t1c", "t1c", "flair"]
    picture = replace(pair("x"), images=(pair("x").images[0],))  # one file with three channels
    assert modalities(picture, ("red", "green", "blue")) == "red+green+blue"


def test_missing_channels_stand_in_their_place() -> None:
    image = torch.arange(8.0).reshape(2, 2, 2, 1)
    whole = with_missing(image, [0, 2], 4)
    assert torch.equal(whole[[0, 2]], image)
    assert whole[[1, 3]].isnan().all()
    assert with_missing(image, [0, 1], 2) is image
    with pytest.raises(DataError, match="1 of 2 modalities are there, and hold 3 channels"):
        with_missing(torch.zeros(3, 2, 2, 1), [0], 2)


@pytest.mark.parametrize("lacks", [0, 1])
def test_preparation_sees_only_what_is_there(pair: Callable[..., Case], segmentation: Problem, lacks: int) -> None:
    """The oracle is the case that never had the other channel."""
    steps: list[PrepareConfig] = [
        CanonicalConfig(),
        SpacingConfig(mm=(1.5, 1.0, 1.0)),
        CropForegroundConfig(threshold=20),
        ZscoreConfig(),
    ]
    case = pair("x", lacks=lacks)
    prepared = prepare_case(case, two_channels(segmentation), steps)
    alone = prepare_case(replace(case, images=case.files), segmentation, steps)
    assert np.isnan(prepared.image[lacks]).all()
    assert np.array_equal(prepared.image[1 - lacks], alone.image[0])
    assert np.array_equal(np.asarray(prepared.target), np.asarray(alone.target))
    assert prepared.grid == alone.grid


def test_the_store_tells_apart_what_is_missing(
    pair: Callable[..., Case], segmentation: Problem, tmp_path: Path
) -> None:
    store = Store(tmp_path / "cache", two_channels(segmentation), [])
    case = pair("x", lacks=1)
    moved = replace(case, images=(None, case.images[0]))  # the same file as the other modality
    for kept in (case, moved, case, moved):  # computed, then read back
        image = store.get(kept).image
        assert [bool(np.isnan(channel).all()) for channel in image] == [ref is None for ref in kept.images]
    assert data_sha256([case]) != data_sha256([moved])


@pytest.mark.parametrize("size", [(6, 6, 6), (16, 16, 16), (16, 4, 8)])  # inside, around and across the image
def test_a_patch_lacks_what_the_case_lacks(
    pair: Callable[..., Case], segmentation: Problem, tmp_path: Path, size: tuple[int, int, int]
) -> None:
    store = Store(tmp_path / "cache", two_channels(segmentation), [])
    datasets = [
        Dataset([pair("x", lacks=lacks)], store, sampling=Sampling(patch=size, foreground=0.5), seed=3)
        for lacks in (None, 1)
    ]
    for index in range(8):
        full, lacking = (dataset.sample(0, epoch=0, index=index) for dataset in datasets)
        assert torch.equal(full.image[0], lacking.image[0])
        assert torch.equal(full.target, lacking.target)
        assert lacking.image[1].isnan().all()
        assert not full.image.isnan().any()


@pytest.mark.parametrize("axis", [0, 2])
def test_a_slice_lacks_what_the_case_lacks(
    pair: Callable[..., Case], segmentation: Problem, tmp_path: Path, axis: int
) -> None:
    store = Store(tmp_path / "cache", two_channels(segmentation), [])
    sampling = Sampling(patch=(14, 14), slice_axis=axis)
    sample = Dataset([pair("x", lacks=0)], store, sampling=sampling, seed=3).sample(0, epoch=0, index=0)
    assert sample.image.shape == (2, 14, 14)
    assert sample.image[0].isnan().all()
    assert sample.image[1].isfinite().all()


def test_channels_are_lost_as_often_as_asked() -> None:
    """Two channels and a share p: each subset has the probability that follows from independent draws, with one spared.

    P(only the first) = p (1 - p) + p^2 / 2, and the same for the second; P(both) = (1 - p)^2.
    """
    share, draws = 0.25, 4000
    rng, image = np.random.default_rng(5), torch.ones(2, 3, 3)
    found = Counter(tuple((~drop_channels(image, rng, share)[:, 0, 0].isnan()).tolist()) for _ in range(draws))
    expected = {(True, True): (1 - share) ** 2, (True, False): share * (1 - share) + share**2 / 2}
    expected[(False, True)] = expected[(True, False)]
    assert found.keys() == expected.keys()
    for subset, probability in expected.items():
        error = (probability * (1 - probability) / draws) ** 0.5
        assert abs(found[subset] / draws - probability) < 4 * error


def test_dropped_channels_are_whole_and_the_others_untouched() -> None:
    rng = np.random.default_rng(1)
    image = torch.randn(4, 5, 5)
    image[2] = torch.nan
    before = image.clone()
    for share in (0.0, 0.5, 1.0):
        for _ in range(30):
            dropped = drop_channels(image, rng, share)
            there = ~dropped.isnan().flatten(1).all(1)
            assert torch.equal(dropped[there], before[there])
            assert dropped[~there].isnan().all()
            assert not there[2]
            assert there.sum() >= 1
            assert {0.0: there.sum() == 3, 0.5: True, 1.0: there.sum() == 1}[share]
    assert torch.equal(image.nan_to_num(9), before.nan_to_num(9))


@pytest.fixture
def batches(pair: Callable[..., Case], segmentation: Problem, tmp_path: Path) -> Batches:
    """Batches of four patches of six cases, one of which has one channel only; samples lose channels."""
    cases = [pair(f"case{k}", lacks=1 if k == 2 else None, seed=k) for k in range(6)]
    store = Store(tmp_path / "cache", two_channels(segmentation), [])
    dataset = Dataset(cases, store, sampling=Sampling(patch=(4, 5, 6), foreground=0.5), seed=1)
    return Batches(dataset, batch_size=4, seed=1, samples_per_case=4, dropout=0.4)


def bits(batches: Batches, epoch: int, first_step: int = 0) -> list[bytes]:
    """Every sample of an epoch as bytes: NaN equals NaN."""
    return [
        sample.numpy().tobytes() for batch in batches.epoch(epoch, first_step=first_step) for sample in batch.images
    ]


def test_lost_channels_depend_on_seed_epoch_and_sample_alone(batches: Batches) -> None:
    alone = bits(batches, 1)
    assert bits(replace(batches, workers=5), 1) == alone
    assert bits(batches, 1, first_step=3) == alone[3 * 4 :]
    ranks = [bits(replace(batches, rank=rank, world=2), 1) for rank in (0, 1)]
    assert [sample for step in range(6) for rank in ranks for sample in rank[2 * step : 2 * step + 2]] == alone
    assert bits(batches, 2) != alone
    assert bits(replace(batches, seed=2), 1) != alone


def test_dropout_changes_nothing_but_what_it_takes(batches: Batches) -> None:
    lost = 0
    for batch, whole in zip(batches.epoch(0), replace(batches, dropout=0.0).epoch(0), strict=True):
        assert torch.equal(batch.targets, whole.targets)
        there = ~batch.images.isnan()
        assert torch.equal(batch.images[there], whole.images[there])
        assert there.flatten(2).any(2).any(1).all()
        lost += int((batch.images.isnan() & ~whole.images.isnan()).flatten(2).any(2).sum())
    assert lost > 0


@pytest.mark.parametrize(
    ("lacks", "channels", "setting", "expected"),
    [
        (1, CHANNELS, None, r"1 case has not all channels \(flair, t1c\); missing: b \(t1c\)\..*data\.missing"),
        (1, CHANNELS, MissingConfig(), None),
        (1, CHANNELS, MissingConfig(dropout=0), None),
        (None, CHANNELS, None, None),
        (None, CHANNELS, MissingConfig(), None),
        (None, CHANNELS, MissingConfig(dropout=0), "no case lacks a channel, and with dropout 0"),
        (None, ("image",), MissingConfig(), "the only channel, 'image', cannot be missing"),
    ],
)
def test_what_does_not_fit_the_setting_is_said(
    pair: Callable[..., Case],
    lacks: int | None,
    channels: tuple[str, ...],
    setting: MissingConfig | None,
    expected: str | None,
) -> None:
    cohort = Cohort((pair("a"), pair("b", lacks=lacks)), channels)
    faults = missing_faults(cohort, setting)
    assert len(faults) == (expected is not None)
    if expected is not None:
        assert re.search(expected, faults[0])


def test_many_cases_are_counted_and_some_named(pair: Callable[..., Case]) -> None:
    case = pair("x", lacks=0)
    cohort = Cohort(tuple(replace(case, id=f"case{number}") for number in range(13)), CHANNELS)
    (fault,) = missing_faults(cohort, None)
    assert fault.startswith("13 cases have not all channels")
    assert "case9 (flair) and 3 more." in fault
    assert "case10" not in fault


def test_cases_and_channels_without_any_image_are_refused(pair: Callable[..., Case]) -> None:
    bare = replace(pair("x"), images=(None, None))
    (fault,) = missing_faults(Cohort((pair("a"), bare), CHANNELS), MissingConfig())
    assert fault.startswith("1 case has no image at all: x")
    assert unseen_faults([pair("a", lacks=0), pair("b")], CHANNELS) == []
    (fault,) = unseen_faults([pair("a", lacks=0), pair("b", lacks=0)], CHANNELS)
    assert "no training case has flair" in fault
