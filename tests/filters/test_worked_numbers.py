"""Filters on images small enough to be worked out by hand, as lectures do."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from hilum.filters.base import FilterConfig, filtered
from hilum.prepare.filter import FilterStepConfig
from hilum.registry import parse
from hilum.volume import Grid, Volume

EDGE = [[1, 0, -1]] * 3
SHARPEN = [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]


def prepared(rows: Sequence[Sequence[float]], **settings: Any) -> list[list[float]]:
    """A picture of these rows after the step `filter`."""
    values = torch.tensor(rows, dtype=torch.float32)[None, :, :, None]
    image = Volume(values, Grid((len(rows), len(rows[0]), 1), np.eye(4), "pixel"))
    result, _ = FilterStepConfig.model_validate(settings).apply(image, None)
    found: list[list[float]] = result.tensor[0, :, :, 0].tolist()
    return found


def test_a_vertical_edge_kernel() -> None:
    image = [[3, 0, 1, 2, 7, 4], [1, 5, 8, 9, 3, 1], [2, 7, 2, 5, 1, 3], [0, 1, 3, 1, 7, 8], [4, 2, 1, 6, 2, 8]]
    expected = [[-5, -4, 0, 8], [-10, -2, 2, 3], [0, -2, -4, -7], [-3, -2, -3, -16]]
    by = {"kind": "kernel", "values": EDGE}
    assert prepared([*image, [2, 4, 5, 2, 3, 9]], by=by, padding="valid") == expected


@pytest.mark.parametrize("by", [{"kind": "kernel", "values": SHARPEN}, "sharpen"], ids=str)
def test_sharpening_the_corner_of_a_patch(by: Any) -> None:
    assert prepared([[105, 102, 100], [103, 99, 103], [101, 98, 104]], by=by, padding="zero")[0][0] == 320


@pytest.mark.parametrize(
    ("row", "expected"), [([10, 10, 10, 0, 0, 0], [0, 30, 30, 0]), ([0, 0, 0, 10, 10, 10], [0, -30, -30, 0])]
)
def test_a_half_bright_image_and_its_mirror_image(row: list[float], expected: list[float]) -> None:
    assert prepared([row] * 6, by={"kind": "kernel", "values": EDGE}, padding="valid") == [expected] * 4


def test_a_stride_of_2() -> None:
    image = [
        [2, 3, 7, 4, 6, 2, 9],
        [6, 6, 9, 8, 7, 4, 3],
        [3, 4, 8, 3, 8, 9, 7],
        [7, 8, 3, 6, 6, 3, 4],
        [4, 2, 1, 8, 3, 4, 6],
        [3, 2, 4, 1, 9, 8, 3],
        [0, 1, 3, 9, 2, 1, 4],
    ]
    by = {"kind": "kernel", "values": [[3, 4, 4], [1, 0, 2], [-1, 0, 3]]}
    expected = [[91, 100, 88], [69, 91, 117], [44, 72, 74]]
    assert prepared(image, by=by, padding="valid", stride=2) == expected


def test_a_convolution_turns_the_kernel_round() -> None:
    """A single 1 in the middle gives the kernel itself, and by cross-correlation the kernel turned round."""
    dot = [[0.0] * 5, [0.0] * 5, [0, 0, 1.0, 0, 0], [0.0] * 5, [0.0] * 5]
    values: list[list[float]] = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    by: dict[str, Any] = {"kind": "kernel", "values": values, "operation": "convolution"}
    assert prepared(dot, by=by, padding="valid") == values
    assert prepared(dot, by={**by, "operation": "cross_correlation"}, padding="valid") == [
        row[::-1] for row in values[::-1]
    ]


KERNELS: dict[str, Any] = {
    "identity": [[1]],
    "brighten": [[1.5]],
    "darken": [[0.5]],
    "sharpen": SHARPEN,
    "laplacian": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "outline": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    "emboss": [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]],
}
"""As courses and image editors have them."""
GRADIENTS: dict[str, list[list[float]]] = {
    "sobel": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    "scharr": [[-3, -10, -3], [0, 0, 0], [3, 10, 3]],
    "prewitt": [[-1, -1, -1], [0, 0, 0], [1, 1, 1]],
}
"""Along the first axis."""


def by_name(kind: str, **settings: Any) -> FilterConfig:
    found = parse("filters", {"kind": kind, **settings})
    assert isinstance(found, FilterConfig)
    return found


@pytest.mark.parametrize("kind", [*KERNELS, *GRADIENTS])
def test_named_filters_have_their_kernels(kind: str) -> None:
    dot = torch.zeros(1, 1, 5, 5)
    dot[..., 2, 2] = 1
    named = by_name(kind, axis=0) if kind in GRADIENTS else by_name(kind)
    written = by_name("kernel", values=GRADIENTS.get(kind) or KERNELS[kind])
    assert torch.equal(filtered(dot, named), filtered(dot, written))


@pytest.mark.parametrize("kind", GRADIENTS)
def test_a_slope_has_the_same_gradient_whatever_its_direction(kind: str) -> None:
    """The magnitude on a slope of 1 a voxel is 2 times the sum of the smoothing weights, in 2D and 3D."""
    smoothing = sum(GRADIENTS[kind][2])
    for dims, across in ((2, smoothing), (3, smoothing**2)):
        slope = torch.arange(6.0).view(-1, *[1] * (dims - 1)).expand(*[6] * dims)
        for axis in range(dims):
            found = filtered(slope.movedim(0, axis)[None, None], by_name(kind), padding="valid")
            assert torch.equal(found, torch.full_like(found, 2 * across))


def test_in_3d_the_middle_is_the_number_of_neighbours() -> None:
    dot = torch.zeros(1, 1, 3, 3, 3)
    dot[0, 0, 1, 1, 1] = 1
    for kind, middle, corner in (("laplacian", -6, 0), ("outline", 26, -1), ("sharpen", 7, 0), ("emboss", 1, 3)):
        found = filtered(dot, by_name(kind), padding="zero")[0, 0]
        assert (float(found[1, 1, 1]), float(found[0, 0, 0])) == (middle, corner)
