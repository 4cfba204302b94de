"""The way back of intensities: what preparation did to them is undone exactly, but for what was clipped."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hilum.prepare.base import PrepareConfig
from hilum.prepare.dataset_zscore import ChannelRange, DatasetZscoreConfig
from hilum.prepare.percentiles import PercentilesConfig
from hilum.prepare.scaled import prepared_with_intensities
from hilum.prepare.spacing import SpacingConfig
from hilum.prepare.window import WindowConfig
from hilum.prepare.zscore import ZscoreConfig
from hilum.volume import Grid, Volume

FITTED = DatasetZscoreConfig(fitted=(ChannelRange(low=-1e3, high=1e3, mean=40, std=7),) * 2)


def image() -> Volume:
    values = torch.from_numpy(np.random.default_rng(0).normal([[100], [-20]], [[30], [2]], (2, 480)).astype(np.float32))
    return Volume(values.view(2, 10, 8, 6), Grid((10, 8, 6), np.diag([1.0, 1.0, 2.0, 1.0])))


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [ZscoreConfig()],
        [WindowConfig(low=-200, high=400)],
        [PercentilesConfig(low=0, high=100)],
        [FITTED],
        [WindowConfig(low=-200, high=400), ZscoreConfig()],
    ],
    ids=lambda steps: "+".join(step.kind for step in steps) or "none",
)
def test_intensities_come_back(steps: list[PrepareConfig]) -> None:
    source = image()
    prepared, own = prepared_with_intensities(source, steps)
    torch.testing.assert_close(own.restored(prepared.tensor), source.tensor, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(own.prepared(source.tensor), prepared.tensor, rtol=1e-4, atol=1e-4)


def test_a_constant_channel_comes_back() -> None:
    flat = Volume(torch.full((1, 4, 4, 1), 7.0), Grid((4, 4, 1), np.eye(4), "pixel"))
    for step in (ZscoreConfig(), PercentilesConfig()):
        prepared, own = prepared_with_intensities(flat, [step])
        torch.testing.assert_close(own.restored(prepared.tensor), flat.tensor)


def test_intensities_are_measured_after_earlier_steps() -> None:
    source = image()
    prepared, own = prepared_with_intensities(source, [SpacingConfig(mm=(2, 2, 2)), ZscoreConfig()])
    moved, _ = SpacingConfig(mm=(2, 2, 2)).apply(source, None)
    torch.testing.assert_close(own.restored(prepared.tensor), moved.tensor, rtol=1e-4, atol=1e-3)


def test_steps_that_cannot_be_undone_say_so() -> None:
    assert not ZscoreConfig(nonzero=True).undoes
