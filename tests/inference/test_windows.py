"""Windows: where they lie, how they blend, and that a voxelwise network sees no difference from the whole image."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.inference.brute_force import blended, whole
from torch import Tensor

from hilum.inference.axes import mirrorings
from hilum.inference.windows import WEIGHT_FLOOR, all_starts, gaussian_weights, window_starts


def two_classes(windows: Tensor) -> Tensor:
    """Probabilities that depend on each voxel alone."""
    foreground = torch.sigmoid(windows[:, :1] + 0.5 * windows[:, 1:2])
    return torch.cat([1 - foreground, foreground], dim=1)


def ramp(windows: Tensor) -> Tensor:
    """Probabilities that depend on the place within the window, so that mirroring changes them."""
    position = torch.linspace(0, 1, windows.shape[2]).reshape(1, 1, -1, 1)
    return (windows[:, :1] * position).expand(-1, 2, -1, -1)


@given(size=st.integers(1, 200), window=st.integers(1, 64), overlap=st.floats(0, 0.9))
def test_windows_cover_the_axis_and_overlap_enough(size: int, window: int, overlap: float) -> None:
    starts = window_starts(size, window, overlap)
    step = max(1, int(window * (1 - overlap)))
    assert starts[0] == 0
    assert starts[-1] == max(size - window, 0)
    assert all(0 < later - earlier <= step for earlier, later in itertools.pairwise(starts))
    assert len(starts) == (1 if size <= window else math.ceil((size - window) / step) + 1)


def test_impossible_overlap_is_refused() -> None:
    with pytest.raises(ValueError, match=r"overlap is 1\.0; expected at least 0 and below 1"):
        window_starts(10, 5, 1.0)


@pytest.mark.parametrize("window", [(5,), (4, 6), (3, 4, 8)])
def test_weights_are_a_floored_gaussian(window: tuple[int, ...]) -> None:
    weights = gaussian_weights(window)
    middle = [(side - 1) / 2 for side in window]
    for index in _indices(window):
        expected = max(_gaussian(index, middle, window), WEIGHT_FLOOR)
        assert weights[index].item() == pytest.approx(expected, rel=1e-5)


def _indices(window: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [
        tuple(int(i) for i in index)
        for index in torch.cartesian_prod(*map(torch.arange, window)).reshape(-1, len(window))
    ]


def _gaussian(index: tuple[int, ...], middle: list[float], window: tuple[int, ...]) -> float:
    squares = [((i - m) / (side / 8)) ** 2 for i, m, side in zip(index, middle, window, strict=True)]
    return math.exp(-0.5 * sum(squares))


@pytest.mark.parametrize(
    ("shape", "window"),
    [((21, 17), (8, 8)), ((5, 30), (8, 8)), ((13, 9, 20), (8, 6, 8)), ((3, 4, 5), (8, 8, 8)), ((8, 8, 8), (8, 8, 8))],
)
@pytest.mark.parametrize("flipped", [False, True])
def test_voxelwise_network_gives_what_it_gives_on_the_whole_image(
    shape: tuple[int, ...], window: tuple[int, ...], flipped: bool
) -> None:
    image = torch.randn(2, *shape, generator=torch.manual_seed(1))
    flips = [(0,), (0, 1)] if flipped else []
    found = blended(two_classes, image[None], window=window, overlap=0.5, batch_size=3, flips=flips)[0]
    torch.testing.assert_close(found, two_classes(image[None])[0], rtol=1e-5, atol=1e-6)
    assert found.dtype == torch.float32


def test_convolution_equals_the_whole_image_away_from_the_window_borders() -> None:
    """One window inset by the receptive field: every voxel then sees the same neighbourhood as in the whole image."""
    convolution = torch.nn.Conv2d(1, 1, 3, padding=1)
    image = torch.randn(1, 12, 12, generator=torch.manual_seed(2))
    with torch.no_grad():
        found = blended(convolution, image[None], window=(12, 12), overlap=0.5, batch_size=1)[0]
        assert torch.equal(found, convolution(image[None])[0])


def test_windows_are_blended_as_by_brute_force() -> None:
    image = torch.randn(1, 1, 11, 7, generator=torch.manual_seed(3))
    found = blended(ramp, image, window=(6, 4), overlap=0.5, batch_size=4)
    torch.testing.assert_close(found, whole(ramp, image, window=(6, 4), overlap=0.5))


def test_a_smaller_image_lies_in_the_middle_of_its_window() -> None:
    assert all_starts((20, 5, 8), (8, 8, 8), 0.5) == [(0, 4, 8, 12), (-1,), (0,)]
    place = torch.arange(64.0).reshape(8, 8)
    found = blended(lambda x: x + place, torch.zeros(1, 1, 5, 2), window=(8, 8), overlap=0.5)
    assert torch.equal(found[0, 0], place[1:6, 3:5])


def test_flips_average_the_mirrored_predictions() -> None:
    image = torch.randn(1, 6, 6, generator=torch.manual_seed(4))
    found = blended(ramp, image[None], window=(6, 6), overlap=0.0, batch_size=1, flips=[(0,)])[0]
    expected = (ramp(image[None]) + ramp(image[None].flip(2)).flip(2))[0] / 2
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_a_stack_is_its_images_one_by_one(batch_size: int) -> None:
    images = torch.randn(4, 2, 10, 9, generator=torch.manual_seed(5))
    found = blended(two_classes, images, window=(6, 16), overlap=0.25, batch_size=batch_size)
    for image, one in zip(images, found, strict=True):
        alone = blended(two_classes, image[None], window=(6, 16), overlap=0.25, batch_size=2)[0]
        torch.testing.assert_close(one, alone)


def test_each_window_is_seen_once_and_batches_are_full() -> None:
    sizes: list[int] = []

    def counting(windows: Tensor) -> Tensor:
        sizes.append(len(windows))
        return two_classes(windows)

    blended(counting, torch.zeros(3, 2, 16, 16), window=(8, 8), overlap=0.5, batch_size=4)
    assert sizes == [4, 4, 4, 4, 4, 4, 3]  # three images of 3 x 3 windows


def test_half_precision_networks_are_accumulated_in_float32() -> None:
    image = torch.randn(2, 9, 9, generator=torch.manual_seed(6))
    found = blended(lambda x: two_classes(x).bfloat16(), image[None], window=(4, 4), overlap=0.5, batch_size=8)[0]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, two_classes(image[None])[0], rtol=0, atol=4e-3)  # bfloat16 has 8 bits


@pytest.mark.parametrize(("shape", "window"), [((11, 7), (6, 4)), ((7, 9, 5), (4, 6, 8))])
@pytest.mark.parametrize("batch_size", [1, 5])
def test_mirrored_views_of_every_window_are_averaged_as_by_brute_force(
    shape: tuple[int, ...], window: tuple[int, ...], batch_size: int
) -> None:
    """The network weighs every voxel by its place in the window, and by another along every axis."""
    place = torch.rand(window, generator=torch.manual_seed(7))
    sizes: list[int] = []

    def placed(windows: Tensor) -> Tensor:
        sizes.append(len(windows))
        return (windows[:, :1] * place).sigmoid().expand(-1, 2, *window)

    flips = mirrorings("all", [f"axis{axis}" for axis in range(len(window))])
    assert len(flips) == 2 ** len(window) - 1
    image = torch.randn(1, *shape, generator=torch.manual_seed(8))
    found = blended(placed, image[None], window=window, overlap=0.5, batch_size=batch_size, flips=flips)[0]
    assert all(size == batch_size for size in sizes[:-1])
    expected = whole(placed, image[None], window=window, overlap=0.5, flips=flips)[0]
    torch.testing.assert_close(found, expected)
