"""Filters as augmentation: batches as samples alone, shares of the filtered image, what cannot act."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from hilum.augment.augmenter import Augmenter
from hilum.augment.filter import FilterAugmentConfig
from hilum.errors import ConfigError
from hilum.filters.base import FilterConfig, filtered
from hilum.registry import kinds, parse

FILTERS: list[Any] = [
    *(kind for kind in kinds("filters") if kind != "kernel"),
    {"kind": "kernel", "values": [[[1, 2], [3, 4]], [[0, 1], [1, 0]]], "operation": "convolution"},
    {"kind": "kernel", "values": [[1, 0, -1]], "divide_by": 2},
]


def step(by: Any, **settings: Any) -> FilterAugmentConfig:
    return FilterAugmentConfig.model_validate({"by": by, "probability": 1.0, **settings})


def fitting(by: Any, dims: int) -> FilterConfig:
    found = parse("filters", by)
    assert isinstance(found, FilterConfig)
    if found.faults(dims):
        pytest.skip("a kernel of another dimension")
    return found


@pytest.mark.parametrize("shape", [(13, 11), (9, 8, 7)])
@pytest.mark.parametrize("by", FILTERS, ids=str)
def test_a_batch_is_its_samples_alone_bit_for_bit(by: Any, shape: tuple[int, ...], make_batch: Any) -> None:
    fitting(by, len(shape))
    batch, frame = make_batch(shape, channels=2)
    images = batch.images.clone()
    images[1, 0] = torch.nan  # a missing channel
    batch = dataclasses.replace(batch, images=images)
    augment = Augmenter([step(by)], seed=5)
    together = augment(batch, frame)
    for row in range(4):
        alone = dataclasses.replace(
            batch,
            ids=batch.ids[row : row + 1],
            indices=batch.indices[row : row + 1],
            images=batch.images[row : row + 1],
            targets=batch.targets[row : row + 1],
        )
        assert torch.equal(augment(alone, frame).images.nan_to_num(9e9), together.images[row : row + 1].nan_to_num(9e9))
    assert torch.equal(together.images.isnan(), images.isnan())
    assert torch.equal(together.targets, batch.targets)


@pytest.mark.parametrize("by", FILTERS[:-1], ids=str)
def test_all_of_it_is_the_filtered_image_and_none_of_it_the_image(by: Any, make_batch: Any) -> None:
    batch, frame = make_batch((9, 8, 7))
    whole = Augmenter([step(by, strength=[1, 1], padding="symmetric")], seed=2)(batch, frame).images
    assert torch.equal(whole, filtered(batch.images, fitting(by, 3), padding="symmetric"))
    assert torch.equal(Augmenter([step(by, strength=[0, 0])], seed=2)(batch, frame).images, batch.images)


def test_strengths_are_drawn_evenly_between_their_bounds(make_batch: Any) -> None:
    _, frame = make_batch((5, 5))
    made = step("mean", strength=[0.25, 0.75])
    drawn = [float(made.draw(np.random.default_rng(seed), frame)["strength"]) for seed in range(300)]
    assert 0.25 <= min(drawn) < 0.27
    assert 0.73 < max(drawn) <= 0.75
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.03)  # 3.6 standard errors


def test_a_filter_for_other_dimensions_is_an_error(make_batch: Any) -> None:
    batch, frame = make_batch((8, 8))
    steps = [step({"kind": "sobel", "axis": 2}), step({"kind": "kernel", "values": [[[1.0]]]})]
    with pytest.raises(ConfigError) as caught:
        Augmenter(steps, 1)(batch, frame)
    assert "data.augment.0: filter: by.axis: received 2, expected one of 0 to 1" in str(caught.value)
    assert "data.augment.1: filter: by.values: received a 3D kernel, expected a 2D one" in str(caught.value)


@pytest.mark.parametrize(
    "settings", [{"strength": [0.8, 0.2]}, {"strength": [0, 2]}, {"padding": "valid"}, {"padding_value": 2.0}], ids=str
)
def test_what_cannot_be_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        step("mean", **settings)
