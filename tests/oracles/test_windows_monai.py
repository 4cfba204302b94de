"""Sliding windows against MONAI's, where both place the windows alike: the step divides the axis."""

from __future__ import annotations

import pytest
import torch
from tests.inference.brute_force import blended
from torch import Tensor

from hilum.inference.windows import gaussian_weights, window_starts

monai_inferers = pytest.importorskip("monai.inferers")


def place_dependent(windows: Tensor) -> Tensor:
    """Differs from window to window at the same voxel, so that the blending shows."""
    mean = windows.mean(dim=tuple(range(2, windows.ndim)), keepdim=True)
    position = torch.linspace(0, 1, windows.shape[-1])
    return torch.cat([windows * position + mean, windows - mean], dim=1)


@pytest.mark.parametrize(
    ("shape", "window"),
    [((32, 48), (16, 16)), ((7, 16), (12, 8)), ((16, 24, 12), (8, 12, 12)), ((5, 16, 6), (8, 8, 8))],
)
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.75])
def test_equals_monai(shape: tuple[int, ...], window: tuple[int, ...], overlap: float) -> None:
    image = torch.randn(1, *shape, generator=torch.manual_seed(7))
    expected = monai_inferers.sliding_window_inference(
        image[None], window, sw_batch_size=3, predictor=place_dependent, overlap=overlap, mode="gaussian"
    )[0]
    found = blended(place_dependent, image[None], window=window, overlap=overlap, batch_size=3)[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("window", [(8, 8), (5, 9), (8, 12, 6)])
def test_weights_equal_monai(window: tuple[int, ...]) -> None:
    from monai.data.utils import compute_importance_map

    theirs = compute_importance_map(window, mode="gaussian", sigma_scale=0.125).clamp(min=1e-3)
    torch.testing.assert_close(gaussian_weights(window), theirs)


def test_starts_equal_monai_where_the_step_divides() -> None:
    from monai.data.utils import dense_patch_slices

    theirs = [place[0].start for place in dense_patch_slices((40,), (16,), (8,))]
    assert window_starts(40, 16, 0.5) == theirs
