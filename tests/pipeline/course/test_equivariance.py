"""Rung 7: a convolution commutes with a shift exactly, pooling with some shifts, kernels of their own with none."""

import torch
from torch import nn

from hilum.layers.local import LocallyConnected
from hilum.pipeline.course.equivariance import equivariance_error

IMAGES = torch.rand(3, 1, 24, 24, generator=torch.Generator().manual_seed(0))


def convolutions() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding="same"), nn.ReLU(), nn.Conv2d(4, 4, 3, padding="same"), nn.ReLU())


def test_convolutions_move_with_the_image() -> None:
    assert max(equivariance_error(convolutions(), IMAGES, by) for by in range(1, 5)) < 1e-6


def test_pooling_by_two_moves_with_even_shifts_only() -> None:
    pooled = nn.Sequential(convolutions(), nn.MaxPool2d(2))
    assert max(equivariance_error(pooled, IMAGES, by) for by in (2, 4)) < 1e-6
    assert min(equivariance_error(pooled, IMAGES, by) for by in (1, 3)) > 0.05


def test_kernels_of_their_own_move_with_no_shift_and_are_the_convolution_where_they_are_alike() -> None:
    torch.manual_seed(2)
    local = LocallyConnected(1, 4, size=(24, 24), kernel=3)
    assert equivariance_error(local, IMAGES, 1) > 0.5
    with torch.no_grad():
        local.weight.copy_(local.weight[..., :1].expand_as(local.weight))
        local.bias.zero_()
    assert equivariance_error(local, IMAGES, 1) < 1e-6
