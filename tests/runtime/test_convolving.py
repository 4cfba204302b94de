"""Convolutions of small images on a CPU: results and gradients as in float64, which goes another way through torch."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from hilum.convolving import keep_sound, sound_type

PRECISION = {torch.bfloat16: 0.02, torch.float32: 1e-4}


def gradients(conv: nn.Module, images: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """The output, and the gradients of a weighted sum of it for the image and the weights, of a convolution."""
    images = images.detach().clone().requires_grad_()
    # What is freed now is what memory that is never written holds next.
    spoilt = [torch.full((conv.get_parameter("weight").numel() // part,), 1e30) for part in (1, 1, 1, 2)]
    del spoilt
    with torch.autocast("cpu", dtype, enabled=dtype is torch.bfloat16):
        output = conv(images)
    wanted = torch.randn(output.shape, generator=torch.manual_seed(1), dtype=torch.float64)
    found = torch.autograd.grad(output, [images, *conv.parameters()], wanted.to(output.dtype))
    return output.detach(), *found


def deviations(conv: nn.Module, images: Tensor, dtype: torch.dtype) -> list[float]:
    """By how much each result differs from that in float64, as a share of the largest value."""
    exact = gradients(copy.deepcopy(conv).double(), images.double(), torch.float64)
    keep_sound(conv)
    results = gradients(conv, images, dtype)
    assert results[0].dtype is dtype
    return [
        float((ours.double() - right).abs().max() / right.abs().max())
        for ours, right in zip(results, exact, strict=True)
    ]


@pytest.mark.parametrize(
    ("size", "conv", "dtype"),
    [
        ((2, 6, 6), nn.Conv3d(16, 16, 3, padding=1), torch.bfloat16),
        ((2, 2, 2), nn.Conv3d(16, 16, 3, padding=1, bias=False), torch.bfloat16),
        ((3, 6, 6), nn.Conv3d(16, 16, 5, padding="same"), torch.bfloat16),
        ((6, 6, 1), nn.Conv3d(16, 16, 3, stride=2, padding=1), torch.bfloat16),
        ((6, 1), nn.Conv2d(16, 16, 3, stride=2, padding=1), torch.bfloat16),
        ((2, 6, 6), nn.Conv3d(16, 16, 3, padding=1, padding_mode="replicate"), torch.bfloat16),
        ((2, 6, 6), nn.Conv3d(16, 16, 3, padding=2, dilation=2), torch.bfloat16),
        ((8, 6, 6), nn.Conv3d(16, 16, 3, padding=1), torch.bfloat16),
        ((6, 9, 9), nn.Conv3d(16, 16, 7, stride=2, padding=3), torch.float32),
        ((6, 9, 9), nn.Conv3d(16, 16, 7, stride=2, padding=3), torch.bfloat16),
        ((4, 6, 6), nn.Conv3d(16, 16, 5, stride=2, padding=3), torch.float32),
    ],
)
def test_results_and_gradients_are_those_of_float64(size: tuple[int, ...], conv: nn.Module, dtype: torch.dtype) -> None:
    images = torch.randn(2, conv.get_parameter("weight").shape[1], *size, generator=torch.manual_seed(0))
    assert max(deviations(conv, images, dtype)) < PRECISION[dtype]


@pytest.mark.parametrize(
    ("axis", "usual", "learning", "sound"),
    [
        ((8, 3, 1, 1), torch.bfloat16, True, torch.bfloat16),
        ((3, 3, 1, 1), torch.bfloat16, True, torch.bfloat16),
        ((2, 3, 1, 1), torch.bfloat16, False, torch.float32),
        ((4, 4, 4, 0), torch.bfloat16, False, torch.float32),  # one place is left by a stride
        ((4, 4, 1, 0), torch.bfloat16, False, torch.bfloat16),
        ((2, 3, 1, 1), torch.float32, True, torch.float32),
        ((6, 7, 2, 3), torch.float32, True, torch.float64),
        ((6, 7, 2, 3), torch.float32, False, torch.float32),
        ((8, 7, 2, 3), torch.float32, True, torch.float32),
    ],
)
def test_only_what_goes_wrong_takes_another_precision(
    axis: tuple[int, int, int, int], usual: torch.dtype, learning: bool, sound: torch.dtype
) -> None:
    assert sound_type([(64, 3, 1, 1), axis], usual, learning=learning) is sound


def test_names_and_copies_of_the_weights_stay() -> None:
    model = nn.Sequential(nn.Conv3d(1, 2, 3), nn.Conv2d(1, 2, 3), nn.Conv1d(1, 2, 3), nn.ConvTranspose3d(1, 2, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    keep_sound(model)
    after = copy.deepcopy(model).state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(isinstance(module, kind) for module, kind in zip(model, (nn.Conv3d, nn.Conv2d, nn.Conv1d), strict=False))
