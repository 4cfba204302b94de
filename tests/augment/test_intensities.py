"""Intensity steps against closed forms and SciPy; all act alike on z-scored images and images in [0, 1]."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter

from hilum.augment.base import AugmentConfig, Frame, IntensityAugment
from hilum.augment.bias_field import BiasFieldConfig
from hilum.augment.blur import BlurConfig
from hilum.augment.brightness import BrightnessConfig
from hilum.augment.gamma import GammaConfig
from hilum.augment.noise import NoiseConfig
from hilum.registry import kinds

FRAME = Frame((20, 18, 16), (1.0, 1.0, 3.0), ("i", "j", "k"), 2)
STEPS = [kind for kind, config in kinds("augment").items() if issubclass(config, IntensityAugment)]


def images(size: int = 3) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randn(size, 2, *FRAME.shape, generator=rng) * torch.tensor([1.0, 5.0]).view(2, 1, 1, 1) + 2


def drawn(step: AugmentConfig, size: int = 3) -> dict[str, torch.Tensor]:
    made = [step.draw(np.random.default_rng(seed), FRAME) for seed in range(size)]
    return {key: torch.from_numpy(np.stack([draws[key] for draws in made])) for key in made[0]}


def applied(step: IntensityAugment, values: torch.Tensor) -> torch.Tensor:
    before = values.clone()
    result = step.apply(values, drawn(step, len(values)))
    assert torch.equal(values, before)
    return result


@pytest.mark.parametrize("kind", STEPS)
def test_the_scale_of_intensities_does_not_matter(kind: str) -> None:
    step = kinds("augment")[kind]()
    assert isinstance(step, IntensityAugment)
    plain = applied(step, images())
    rescaled = applied(step, images() * 0.05 + 0.5)
    torch.testing.assert_close(rescaled, plain * 0.05 + 0.5, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", STEPS)
def test_a_constant_image_stays_finite_and_nearly_constant(kind: str) -> None:
    step = kinds("augment")[kind]()
    assert isinstance(step, IntensityAugment)
    result = applied(step, torch.full((2, 2, *FRAME.shape), 0.3))
    torch.testing.assert_close(result, torch.full_like(result, 0.3), atol=1e-5, rtol=0)


def test_noise_has_the_stated_std_in_standard_deviations_of_the_channel() -> None:
    values = images()
    added = applied(NoiseConfig(std=(0.2, 0.2)), values) - values
    expected = 0.2 * values.std((2, 3, 4), correction=0)
    torch.testing.assert_close(added.std((2, 3, 4)), expected, rtol=0.04, atol=0)
    assert added.mean().abs() < 0.02
    spread = torch.stack([drawn(NoiseConfig(std=(0.1, 0.3)))["noise"][row].std() for row in range(3)])
    assert ((spread > 0.095) & (spread < 0.305)).all()
    flat = added[0, 0].flatten().numpy()
    assert abs(np.corrcoef(flat[1:], flat[:-1])[0, 1]) < 0.05
    assert abs(np.corrcoef(flat, added[0, 1].flatten().numpy())[0, 1]) < 0.05


def test_brightness_is_a_line_about_the_mean() -> None:
    values, step = images(), BrightnessConfig(shift=0.5, scale=(0.5, 2.0))
    draws = drawn(step)
    mean = values.mean((2, 3, 4), keepdim=True)
    std = values.std((2, 3, 4), correction=0, keepdim=True)
    scale, shift = (draws[key].view(3, 2, 1, 1, 1) for key in ("scale", "shift"))
    torch.testing.assert_close(
        step.apply(values, draws), (values - mean) * scale + mean + shift * std, atol=1e-4, rtol=0
    )
    many = np.stack([step.draw(np.random.default_rng(seed), FRAME)["scale"] for seed in range(500)]).astype(float)
    assert many.min() >= 0.5
    assert many.max() <= 2.0
    assert np.median(many) == pytest.approx(1.0, abs=0.08)  # as likely to halve as to double


def test_gamma_is_a_power_between_the_extremes_which_stay() -> None:
    values, step = images(), GammaConfig(exponent=(0.5, 2.0))
    draws = drawn(step)
    result = step.apply(values, draws)
    low, high = values.amin((2, 3, 4), keepdim=True), values.amax((2, 3, 4), keepdim=True)
    exponent = draws["exponent"].view(3, 1, 1, 1, 1).double()
    expected = ((values - low) / (high - low)).double() ** exponent * (high - low) + low
    torch.testing.assert_close(result.double(), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(result.amax((2, 3, 4)), values.amax((2, 3, 4)))
    assert torch.equal(result.amin((2, 3, 4)), values.amin((2, 3, 4)))


@pytest.mark.parametrize("sigma", [0.4, 1.0])
def test_blur_is_scipys_gaussian_filter(sigma: float) -> None:
    values = images()
    ours = applied(BlurConfig(sigma_voxels=(sigma, sigma)), values)
    for row, channel in ((0, 0), (2, 1)):
        reach = int(np.ceil(3 * sigma))
        expected = gaussian_filter(values[row, channel].numpy(), sigma, mode="nearest", radius=reach)
        np.testing.assert_allclose(ours[row, channel], expected, atol=1e-4)


def test_blur_of_0_voxels_is_no_blur() -> None:
    torch.testing.assert_close(applied(BlurConfig(sigma_voxels=(0, 0)), images()), images())


def test_bias_field_is_smooth_shared_by_channels_and_within_its_strength() -> None:
    values = images()
    result = applied(BiasFieldConfig(strength=0.4), values)
    low = values.amin((2, 3, 4), keepdim=True)
    clear = ((values - low) > 0.5).all(1)
    field = ((result - low) / (values - low)).log()
    assert field[clear[:, None].expand_as(field)].abs().max() <= 0.4 + 1e-4
    torch.testing.assert_close(field[:, 0][clear], field[:, 1][clear], atol=1e-4, rtol=0)
    assert field[clear[:, None].expand_as(field)].std() > 0.03
    steps = (field[:, 0, 1:] - field[:, 0, :-1])[clear[:, 1:] & clear[:, :-1]]
    assert steps.abs().max() < 0.4 * 4 / 20  # 2 intervals over 20 voxels: no jumps


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "noise", "std": [0.3, 0.1]},
        {"kind": "noise", "std": [-0.1, 0.1]},
        {"kind": "gamma", "exponent": [0.0, 1.0]},
        {"kind": "noise", "probability": 1.5},
        {"kind": "elastic", "magnitude": 0.5},
    ],
)
def test_impossible_strengths_are_refused(settings: dict[str, Any]) -> None:
    config = kinds("augment")[settings["kind"]]
    with pytest.raises(ValidationError):
        config.model_validate({key: value for key, value in settings.items() if key != "kind"})
