"""Every filter in 2D and 3D against scipy.ndimage, with all ways of padding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import ndimage

from hilum.filters.base import FilterConfig, Padding, filtered
from hilum.filters.median import MedianConfig
from hilum.registry import kinds, parse

Values = npt.NDArray[np.float64]
MODES: dict[Padding, Any] = {
    "zero": "constant",
    "replicate": "nearest",
    "reflect": "mirror",
    "symmetric": "reflect",
}
"""SciPy's names; its reflect repeats the border voxel, torch's does not."""
SHAPES = [(11, 9), (8, 7, 6)]
CROSS = np.array([[2.0, -1, 0.5], [0, 3, 1], [-4, 1, 1]])
EVEN = np.array([[1.0, -2, 3, 1], [4, 5, 0, -1]])


def scharr(image: Values, axis: int, mode: Any) -> Values:
    found = ndimage.correlate1d(image, [-1, 0, 1], axis, mode=mode)
    for other in range(image.ndim):
        found = found if other == axis else ndimage.correlate1d(found, [3, 10, 3], other, mode=mode)
    return found


def outline(image: Values, mode: Any) -> Values:
    kernel = -np.ones((3,) * image.ndim)
    kernel[(1,) * image.ndim] = 3**image.ndim - 1
    return ndimage.correlate(image, kernel, mode=mode)


def emboss(image: Values, mode: Any) -> Values:
    """A difference along every axis, each smoothed by no more than the others' sums, and the image."""
    found = image.copy()
    for axis in range(image.ndim):
        part = ndimage.correlate1d(image, [-1, 0, 1], axis, mode=mode)
        for other in range(image.ndim):
            part = part if other == axis else ndimage.correlate1d(part, [1, 1, 1], other, mode=mode)
        found += part
    return found


Oracle = Callable[[Values, Any], Values]
CASES: list[tuple[dict[str, Any], Oracle]] = [
    ({"kind": "identity"}, lambda image, mode: image),
    ({"kind": "brighten", "factor": 1.25}, lambda image, mode: image * 1.25),
    ({"kind": "darken", "factor": 0.25}, lambda image, mode: image * 0.25),
    ({"kind": "mean"}, lambda image, mode: ndimage.uniform_filter(image, 3, mode=mode)),
    ({"kind": "mean", "size": 4}, lambda image, mode: ndimage.uniform_filter(image, 4, mode=mode)),
    ({"kind": "gaussian", "sigma_voxels": 0.8}, lambda image, mode: ndimage.gaussian_filter(image, 0.8, mode=mode)),
    ({"kind": "sharpen", "amount": 0.5}, lambda image, mode: image + ndimage.laplace(-0.5 * image, mode=mode)),
    ({"kind": "laplacian"}, lambda image, mode: ndimage.laplace(image, mode=mode)),
    ({"kind": "outline"}, outline),
    ({"kind": "emboss"}, emboss),
    ({"kind": "sobel"}, lambda image, mode: ndimage.generic_gradient_magnitude(image, ndimage.sobel, mode=mode)),
    ({"kind": "sobel", "axis": 1}, lambda image, mode: ndimage.sobel(image, 1, mode=mode)),
    ({"kind": "prewitt"}, lambda image, mode: ndimage.generic_gradient_magnitude(image, ndimage.prewitt, mode=mode)),
    ({"kind": "prewitt", "axis": 0}, lambda image, mode: ndimage.prewitt(image, 0, mode=mode)),
    ({"kind": "scharr", "axis": 1}, lambda image, mode: scharr(image, 1, mode)),
    ({"kind": "median"}, lambda image, mode: ndimage.median_filter(image, 3, mode=mode)),
    ({"kind": "median", "size": 2}, lambda image, mode: ndimage.median_filter(image, 2, mode=mode)),
]


def drawn(shape: tuple[int, ...]) -> Values:
    return np.random.default_rng(5).normal(10, 3, shape)


def ours(image: Values, settings: dict[str, Any], **options: Any) -> Values:
    by = parse("filters", settings)
    assert isinstance(by, FilterConfig)
    return filtered(torch.from_numpy(image)[None, None], by, **options)[0, 0].numpy()


def test_every_filter_has_an_oracle() -> None:
    own = {kind for kind, config in kinds("filters").items() if config.__module__.startswith("hilum.")}
    assert own == {settings["kind"] for settings, _ in CASES} | {"kernel"}


@pytest.mark.parametrize("padding", MODES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("settings", "oracle"), CASES, ids=[str(settings) for settings, _ in CASES])
def test_a_named_filter(settings: dict[str, Any], oracle: Oracle, shape: tuple[int, ...], padding: Padding) -> None:
    image = drawn(shape)
    np.testing.assert_allclose(ours(image, settings, padding=padding), oracle(image, MODES[padding]), atol=1e-9)


@pytest.mark.parametrize("padding", [*MODES, "constant"])
@pytest.mark.parametrize(
    "kernel", [CROSS, EVEN, np.stack([CROSS, EVEN[:1, :3].repeat(3, 0)])], ids=["3x3", "2x4", "2x3x3"]
)
@pytest.mark.parametrize("operation", ["cross_correlation", "convolution"])
def test_any_kernel(operation: str, kernel: Values, padding: Padding) -> None:
    image = drawn(SHAPES[kernel.ndim - 2])
    scipys = ndimage.convolve if operation == "convolution" else ndimage.correlate
    expected = scipys(
        image, kernel / 4, mode=MODES.get(padding, "constant"), cval=7.0 if padding == "constant" else 0.0
    )
    settings = {"kind": "kernel", "values": kernel.tolist(), "divide_by": 4, "operation": operation}
    found = ours(image, settings, padding=padding, value=7.0)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize(("settings", "oracle"), CASES, ids=[str(settings) for settings, _ in CASES])
def test_without_padding_the_inside_is_left(settings: dict[str, Any], oracle: Oracle) -> None:
    image, by = drawn(SHAPES[0]), parse("filters", settings)
    assert isinstance(by, FilterConfig)
    inside = tuple(
        slice(before, length - after) for (before, after), length in zip(by.widths(2), image.shape, strict=True)
    )
    np.testing.assert_allclose(ours(image, settings, padding="valid"), oracle(image, "nearest")[inside], atol=1e-9)


def test_medians_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    image = drawn((13, 9))
    whole = ours(image, {"kind": "median", "size": 3})
    monkeypatch.setattr("hilum.filters.median.PART_VALUES", 9 * 9 * 4)  # four rows at a time
    np.testing.assert_array_equal(filtered(torch.from_numpy(image)[None, None], MedianConfig())[0, 0].numpy(), whole)
