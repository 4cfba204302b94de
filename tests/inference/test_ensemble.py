"""Ensembles against means by numpy: of networks prepared differently, in two and three dimensions; and disagreement."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.inference.test_predictor import Levels, MeanLevel, problem, scan
from torch import Tensor, nn

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.inference import ensemble
from hilum.inference.ensemble import Ensemble
from hilum.inference.postprocess.largest_component import LargestComponentConfig
from hilum.inference.predictor import Predictor
from hilum.prepare.crop_foreground import CropForegroundConfig
from hilum.prepare.spacing import SpacingConfig
from hilum.problem import Problem
from hilum.volume import Grid, Volume, resample

SHARES = (0.5, 0.3, 0.2)


class Shifted(nn.Module):
    """Levels of an image that is brighter or darker by a constant."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, images: Tensor) -> Tensor:
        levels = torch.arange(3, dtype=images.dtype).reshape(1, 3, *[1] * (images.ndim - 2))
        return -3 * (images + self.by - levels) ** 2


def members() -> list[Predictor]:
    """Three networks: on 1.5 mm, on the image's own grid, and in two dimensions on 2 mm."""
    fine, coarse = SpacingConfig(mm=(1.5, 1.5, 1.5), antialias=False), SpacingConfig(mm=(2, 2, 2), antialias=False)
    return [
        Predictor(Shifted(0.3), problem(), [fine], window=(16, 16, 16)),
        Predictor(Shifted(-0.4), problem(), []),
        Predictor(Shifted(0.1), problem(dims=2), [coarse], slice_axis=2),
    ]


def on_the_image(member: Predictor, image: Volume) -> np.ndarray:
    """Probabilities (3, I, J, K) of one network as a whole, resampled as a whole; outside, background is certain."""
    whole = member.probabilities(member.prepared(image))
    parts = [
        resample(Volume(whole.tensor[index : index + 1], whole.grid), image.grid, antialias=False, outside=outside)
        for index, outside in ((0, 1.0), (1, 0.0), (2, 0.0))
    ]
    return np.concatenate([part.tensor.numpy() for part in parts])


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.mark.parametrize("degrees", [0.0, 20.0])
def test_labels_are_those_of_the_mean_on_the_grid_of_the_image(degrees: float) -> None:
    image = scan(degrees)
    found = [on_the_image(member, image) for member in members()]
    mean = sum(share * one for share, one in zip(SHARES, found, strict=True))
    assert isinstance(mean, np.ndarray)
    together = Ensemble.of(members(), SHARES)
    labels, disagreement = together.labels_and_disagreement(together.prepared(image), image.grid)
    expected = np.array([0, 4, 7])[mean.argmax(0)]
    unsure = np.sort(mean, axis=0)[-1] - np.sort(mean, axis=0)[-2] < 1e-5  # sums in another order
    assert labels.grid == image.grid
    assert unsure.mean() < 0.01
    assert np.array_equal(labels.tensor[0].numpy()[~unsure], expected[~unsure])
    assert len(np.unique(expected)) == 3
    votes = [one.argmax(0) for one in found]
    pairs = [
        np.mean([dice(one == index, other == index) for index in (1, 2)])
        for one, other in itertools.combinations(votes, 2)
    ]
    assert disagreement == pytest.approx(1 - np.mean(pairs), abs=2e-3)
    assert disagreement > 0.01


def test_what_does_not_fit_into_memory_lies_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    image = scan()
    expected = Ensemble.of(members(), SHARES).segment(image)
    monkeypatch.setattr(ensemble, "MEMORY_BYTES", 1000)
    monkeypatch.setattr(ensemble, "SLAB_VOXELS", 777)
    found = Ensemble.of(members(), SHARES).segment(image)
    assert torch.equal(found.tensor, expected.tensor)


def test_networks_that_are_alike_do_not_disagree_and_answer_as_one() -> None:
    image = scan(20.0)
    one = members()[0]
    together = Ensemble.of([one, one], (0.5, 0.5))
    first, second = together.prepared(image)
    assert first is second  # prepared once
    labels, disagreement = together.labels_and_disagreement((first, second), image.grid)
    assert disagreement == 0
    assert torch.equal(labels.tensor, one.segment(image).tensor)


def test_what_one_of_them_did_not_see_is_background_to_it() -> None:
    """One is cropped to where the image is bright: outside, its half speaks for the background, the other decides."""
    image = scan()
    cropped = Predictor(Levels(), problem(), [CropForegroundConfig(threshold=1.5, margin_voxels=0)])
    whole = Predictor(Levels(), problem(), [])
    alone = whole.segment(image).tensor
    for share, expected in ((0.4, alone), (0.6, cropped.segment(image).tensor)):
        found = Ensemble.of([cropped, whole], (share, 1 - share)).segment(image).tensor
        assert torch.equal(found, expected)
    assert not torch.equal(alone, cropped.segment(image).tensor)


def test_nothing_seen_by_any_is_no_disagreement() -> None:
    image = Volume(torch.zeros(1, 8, 8, 8), Grid((8, 8, 8), np.eye(4)))
    together = Ensemble.of([Predictor(Levels(), problem(), [])] * 2, (0.5, 0.5))
    assert together.labels_and_disagreement(together.prepared(image), image.grid)[1] == 0


def test_post_processing_comes_once_after_the_mean() -> None:
    image = scan()
    image.tensor[0, :3, :3, :3] = 1  # a speck of organ
    steps = [LargestComponentConfig(of=("organ",))]
    bare = [Predictor(Levels(), problem(), []), Predictor(Levels(), problem(), [])]
    kept = [Predictor(one.model, one.problem, [], postprocess=steps) for one in bare]
    assert Ensemble.of(bare, (0.5, 0.5)).segment(image).tensor[0, 0, 0, 0] == 4
    assert Ensemble.of(kept, (0.5, 0.5)).segment(image).tensor[0, 0, 0, 0] == 0


class Fixed(nn.Module):
    """The same logits for whatever it sees."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = torch.tensor([logits])

    def forward(self, images: Tensor) -> Tensor:
        return self.logits.expand(len(images), -1)


@pytest.mark.parametrize("exclusive", [True, False])
def test_classes_are_the_mean_and_disagreement_is_a_distance(exclusive: bool) -> None:
    question = Problem("classification", 3, ("image",), ("a", "b"), (("a",), ("b",)), exclusive=exclusive)
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [-1.0, 3.0]])
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True) if exclusive else 1 / (1 + np.exp(-logits))
    together = Ensemble.of([Predictor(Fixed(*row), question, []) for row in logits], SHARES)
    image = scan()
    mean, disagreement = together.classes_and_disagreement(together.prepared(image))
    assert mean.numpy() == pytest.approx(np.array(SHARES) @ p, abs=1e-6)
    assert torch.equal(together.classify(image), mean)
    apart = [np.abs(one - other).sum() / 2 for one, other in itertools.combinations(p, 2)]  # of two classes, either way
    assert disagreement == pytest.approx(np.mean(apart), abs=1e-6)
    same = Ensemble.of([Predictor(MeanLevel(), problem("classification"), [])] * 2, (0.5, 0.5))
    assert same.classes_and_disagreement(same.prepared(image))[1] == 0


def test_regions_are_decided_by_the_mean_too() -> None:
    question = Problem("segmentation", 3, ("image",), ("whole", "core"), ((1, 2), (2,)), exclusive=False)

    class Regions(nn.Module):
        def __init__(self, by: float) -> None:
            super().__init__()
            self.by = by

        def forward(self, images: Tensor) -> Tensor:
            return torch.cat([4 * (images - 0.5), 4 * (images - 1.5 + self.by)], dim=1)

    image = scan()
    together = Ensemble.of([Predictor(Regions(by), question, []) for by in (0.0, 1.2)], (0.5, 0.5))
    p = 1 / (1 + np.exp(-4 * (image.tensor.numpy() - np.array([0.5, 1.5]).reshape(2, 1, 1, 1))))
    shifted = 1 / (1 + np.exp(-4 * (image.tensor.numpy()[0] - 0.3)))
    core = (p[1] + shifted) / 2
    expected = (p[0] > 0.5).astype(int) + ((p[0] > 0.5) & (core > 0.5))
    assert np.array_equal(together.segment(image).tensor[0].numpy(), expected)


def test_the_strictest_network_says_what_may_be_missing(tmp_path: Path) -> None:
    two = Problem("segmentation", 3, ("t1", "t2"), ("background", "organ"), ((0,), (1,)))
    lenient, strict = (Predictor(Levels(), two, [], may_lack_channels=lacks) for lacks in (True, False))
    refs: Sequence[ImageRef | None] = [ImageRef(tmp_path / "t1.nii"), None]
    together = Ensemble.of([lenient, strict], (0.5, 0.5))
    assert not together.may_lack_channels
    with pytest.raises(DataError, match="lacks t2"):
        together.read(refs)
