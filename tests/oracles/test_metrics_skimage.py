"""PSNR and SSIM against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.metrics.mae import MaeMetric
from hilum.metrics.psnr import PsnrMetric
from hilum.metrics.ssim import SsimMetric

skimage = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")


def pair(seed: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.linspace(0, 3, size) for size in shape), indexing="ij")
    truth = 100 * np.sin(sum(axes)) + rng.normal(0, 5, shape)
    return truth, truth + rng.normal(3, 20, shape)


@pytest.mark.parametrize("given", [None, 255.0])
@pytest.mark.parametrize("shape", [(24, 31, 1), (14, 16, 13)])
@pytest.mark.parametrize("seed", range(3))
def test_as_scikit_image_has_them(seed: int, shape: tuple[int, ...], given: float | None) -> None:
    truth, restored = pair(seed, shape)
    data_range = given or truth.max() - truth.min()
    expected = skimage.peak_signal_noise_ratio(truth, restored, data_range=data_range)
    assert PsnrMetric(data_range=given).compare(truth[None], restored[None]) == pytest.approx(expected, rel=1e-12)
    expected = skimage.structural_similarity(
        truth.squeeze(),
        restored.squeeze(),
        data_range=data_range,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert SsimMetric(data_range=given).compare(truth[None], restored[None]) == pytest.approx(expected, rel=1e-9)


def test_channels_are_averaged() -> None:
    (one, seen_one), (two, seen_two) = pair(0, (20, 20, 1)), pair(1, (20, 20, 1))
    for metric in (PsnrMetric(), SsimMetric(), MaeMetric()):
        both = metric.compare(np.stack([one, two]), np.stack([seen_one, seen_two]))
        alone = [metric.compare(one[None], seen_one[None]), metric.compare(two[None], seen_two[None])]
        assert both == pytest.approx(np.mean(alone))


def test_what_is_undefined_is_nan() -> None:
    truth, restored = pair(0, (20, 10, 1))
    assert np.isnan(SsimMetric().compare(truth[None], restored[None]))  # shorter than the window
    assert np.isnan(PsnrMetric().compare(truth[None], truth[None]))
    flat = np.ones((1, 20, 20, 1))
    assert np.isnan(PsnrMetric().compare(flat, flat + 1))
    assert SsimMetric().compare(*(np.broadcast_to(truth[:, :1], (1, 20, 20, 1)),) * 2) == pytest.approx(1.0)
