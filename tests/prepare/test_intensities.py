"""zscore, window and percentiles against closed forms and NumPy."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from hilum.prepare import zscore
from hilum.prepare.base import PrepareConfig
from hilum.prepare.dataset_zscore import ChannelRange, DatasetZscoreConfig
from hilum.prepare.percentiles import PercentilesConfig
from hilum.prepare.window import WindowConfig
from hilum.prepare.zscore import ZscoreConfig
from hilum.volume import Grid, Volume

GRID = Grid((11, 13, 7), np.eye(4))


def two_channels() -> Volume:
    rng = np.random.default_rng(2)
    values = np.stack([rng.normal(1000, 30, GRID.shape), rng.gamma(2.0, 5.0, GRID.shape)])
    return Volume(torch.from_numpy(values).float(), GRID)


def test_zscore_gives_each_channel_mean_0_and_std_1() -> None:
    image = two_channels()
    moved, label = ZscoreConfig().apply(image, None)
    values = image.tensor.numpy().astype(np.float64)
    expected = (values - values.mean((1, 2, 3), keepdims=True)) / values.std((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(moved.tensor, expected, atol=1e-4)
    assert moved.tensor.dtype == torch.float32
    assert label is None
    assert moved.grid == image.grid


@pytest.mark.parametrize("nonzero", [False, True])
def test_zscore_of_a_large_volume_is_computed_in_parts_to_the_same_bits(
    nonzero: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = two_channels()
    image.tensor[:, :2] = 0
    at_once = ZscoreConfig(nonzero=nonzero).apply(image, None)[0].tensor
    monkeypatch.setattr(zscore, "PART_VOXELS", 50)
    assert torch.equal(ZscoreConfig(nonzero=nonzero).apply(image, None)[0].tensor, at_once)


@pytest.mark.parametrize(
    "step",
    [
        ZscoreConfig(),
        PercentilesConfig(),
        WindowConfig(low=0, high=900),
        DatasetZscoreConfig(fitted=tuple(ChannelRange(low=0, high=40, mean=9, std=3) for _ in range(2))),
    ],
)
def test_an_image_that_is_changed_stays_as_it_was(step: PrepareConfig) -> None:
    image = two_channels()
    before = image.tensor.clone()
    step.apply(image, None)
    assert torch.equal(image.tensor, before)


def test_zscore_of_nonzero_voxels_leaves_zeros() -> None:
    image = two_channels()
    image.tensor[:, :5] = 0
    moved = ZscoreConfig(nonzero=True).apply(image, None)[0].tensor
    assert (moved[:, :5] == 0).all()
    np.testing.assert_allclose(moved[:, 5:].mean((1, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(moved[:, 5:].std((1, 2, 3), correction=0), 1, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, -1234.567])
@pytest.mark.parametrize("step", [ZscoreConfig(), ZscoreConfig(nonzero=True), PercentilesConfig()])
def test_a_constant_image_becomes_0(step: PrepareConfig, value: float) -> None:
    moved, _ = step.apply(Volume(torch.full((1, *GRID.shape), value), GRID), None)
    assert (moved.tensor == 0).all()


def test_window_is_a_clipped_line() -> None:
    values = torch.tensor([-2000.0, -160, -100, 40, 240, 3000])
    image = Volume(values.view(1, 6, 1, 1), Grid((6, 1, 1), np.eye(4)))
    moved, _ = WindowConfig(low=-160, high=240).apply(image, None)
    assert moved.tensor.flatten().tolist() == pytest.approx([0, 0, 0.15, 0.5, 1, 1])
    assert image.tensor.flatten().equal(values)


@pytest.mark.parametrize("bounds", [(0.5, 99.5), (0.0, 100.0), (5.0, 60.0)])
def test_percentiles_are_those_of_numpy(bounds: tuple[float, float]) -> None:
    image = two_channels()
    moved, _ = PercentilesConfig(low=bounds[0], high=bounds[1]).apply(image, None)
    for ours, channel in zip(moved.tensor.numpy(), image.tensor.numpy(), strict=True):
        low, high = np.percentile(channel, bounds)
        np.testing.assert_allclose(ours, np.clip((channel - low) / (high - low), 0, 1), atol=1e-4)


@pytest.mark.parametrize("step", [WindowConfig, PercentilesConfig])
def test_bounds_the_wrong_way_round_are_named_at_their_field(step: type[PrepareConfig]) -> None:
    with pytest.raises(ValidationError, match="above low") as caught:
        step.model_validate({"low": 60, "high": 40})
    assert caught.value.errors()[0]["loc"] == ("high",)
