"""Padding against numpy's, where torch has no symmetric one."""

from typing import Any, get_args

import numpy as np
import pytest
import torch

from hilum.layers.padding import Filling, padded

MODES: dict[str, dict[str, Any]] = {
    "zero": {"mode": "constant"},
    "constant": {"mode": "constant", "constant_values": 1.5},
    "replicate": {"mode": "edge"},
    "reflect": {"mode": "reflect"},
    "symmetric": {"mode": "symmetric"},
}


def image(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize("filling", get_args(Filling))
@pytest.mark.parametrize("widths", [[(1, 2), (0, 3)], [(9, 14), (7, 0)], [(1, 1), (2, 0), (0, 1)], [(0, 0), (0, 0)]])
def test_as_numpy_pads(filling: Filling, widths: list[tuple[int, int]]) -> None:
    given = image((2, 3, 4, 5, 3)[: 2 + len(widths)])
    expected = np.pad(given.numpy(), [(0, 0), (0, 0), *widths], **MODES[filling])
    assert np.array_equal(padded(given, widths, filling, value=1.5).numpy(), expected)


def test_reflect_of_a_single_voxel_repeats_it() -> None:
    """As numpy does; torch refuses."""
    assert padded(image((1, 1, 1, 2)), [(2, 1), (0, 0)], "reflect").shape == (1, 1, 4, 2)


@pytest.mark.parametrize("filling", get_args(Filling))
@pytest.mark.parametrize("dims", [2, 3])
def test_gradient_against_finite_differences(filling: Filling, dims: int) -> None:
    given = image((1, 2, *(3,) * dims)).requires_grad_()
    widths = [(4, 1)] * dims
    assert torch.autograd.gradcheck(lambda features: padded(features, widths, filling), given, fast_mode=True)
