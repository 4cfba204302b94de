"""A missing channel (NaN) stays missing through every augmentation, and no other channel notices."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.augment.conftest import MakeBatch

from hilum.augment.affine import AffineConfig
from hilum.augment.augmenter import Augmenter
from hilum.augment.base import AugmentConfig
from hilum.augment.elastic import ElasticConfig
from hilum.augment.flip import FlipConfig
from hilum.registry import kinds

ALL = sorted(kinds("augment"))


def step(kind: str, axes: tuple[str, ...]) -> AugmentConfig:
    """A step of this kind that changes every sample."""
    config = kinds("augment")[kind]
    assert issubclass(config, AugmentConfig)
    return FlipConfig(axes=axes, probability=1.0) if config is FlipConfig else config(probability=1.0)


@pytest.mark.parametrize("shape", [(13, 9), (11, 9, 8)])
@pytest.mark.parametrize("kind", [*ALL, "all"])
def test_the_other_channels_are_what_they_would_be(make_batch: MakeBatch, kind: str, shape: tuple[int, ...]) -> None:
    batch, frame = make_batch(shape, channels=3)
    chosen = [step(name, frame.axes[:2]) for name in (ALL if kind == "all" else [kind])]
    images = batch.images.clone()
    images[0, 1] = images[2, 0] = images[2, 2] = torch.nan
    augmenter = Augmenter(chosen, seed=4)
    whole, lacking = augmenter(batch, frame), augmenter(replace(batch, images=images), frame)
    missing = images.isnan()
    assert torch.equal(lacking.images.isnan(), missing)
    assert torch.equal(lacking.images[~missing], whole.images[~missing])
    assert torch.equal(lacking.targets, whole.targets)
    assert not torch.equal(whole.images, batch.images)


def test_strong_geometry_brings_no_number_into_a_missing_channel(make_batch: MakeBatch) -> None:
    batch, frame = make_batch((12, 12, 12), channels=2)
    images = batch.images.clone()
    images[:, 0] = torch.nan
    strong = [AffineConfig(rotate_degrees=90, translate=0.5, probability=1.0), ElasticConfig(probability=1.0)]
    result = Augmenter(strong, seed=1)(replace(batch, images=images), frame)
    assert result.images[:, 0].isnan().all()
    assert result.images[:, 1].isfinite().all()
