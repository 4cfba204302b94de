"""Poolings by name, against torch's own and brute force."""

from typing import get_args

import pytest
import torch
from torch import nn

from hilum.layers.dimensional import AVERAGE_POOL, MAX_POOL
from hilum.layers.pooling import GlobalPool, GlobalPooling, Pooling, pooling

every_dims = pytest.mark.parametrize("dims", [2, 3], ids=["2D", "3D"])


def features(dims: int) -> torch.Tensor:
    return torch.randn(2, 3, *(5, 6, 4)[:dims], generator=torch.Generator().manual_seed(5), dtype=torch.float64)


@every_dims
@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 1), (2, 3)])
def test_neighbours(dims: int, size: int, stride: int) -> None:
    given = features(dims)
    powered = {2: nn.LPPool2d, 3: nn.LPPool3d}[dims](2.0, size, stride)
    expected = {
        "max": MAX_POOL[dims](size, stride)(given),
        "min": -MAX_POOL[dims](size, stride)(-given),
        "average": AVERAGE_POOL[dims](size, stride)(given),
        "l2": powered(given),
    }
    for name in ("max", "min", "average", "l2"):
        layer = pooling(name, dims, channels=3, size=size, stride=stride)
        torch.testing.assert_close(layer(given), expected[name])
    strided = pooling("strided", dims, channels=3, size=size, stride=stride).double()
    assert strided(given).shape == expected["max"].shape


def test_smallest_of_neighbours_by_hand() -> None:
    given = torch.tensor([[[[3.0, 0.0], [1.0, 5.0]]]])
    assert pooling("min", 2, channels=1, size=2, stride=2)(given).item() == 0.0
    assert pooling("l2", 2, channels=1, size=2, stride=2)(given).item() == pytest.approx(35**0.5)


@every_dims
@pytest.mark.parametrize("name", get_args(GlobalPooling))
def test_whole_channels(dims: int, name: GlobalPooling) -> None:
    flat = features(dims).flatten(2)
    expected = {"max": flat.max(2).values, "min": flat.min(2).values, "average": flat.mean(2), "l2": flat.norm(dim=2)}
    torch.testing.assert_close(GlobalPool(name)(features(dims)), expected[name])


@every_dims
@pytest.mark.parametrize("name", get_args(Pooling))
def test_gradient_against_finite_differences(dims: int, name: Pooling) -> None:
    layer = pooling(name, dims, channels=3, size=2, stride=1).double()
    assert torch.autograd.gradcheck(layer, features(dims).requires_grad_(), fast_mode=True)


@pytest.mark.parametrize("name", get_args(GlobalPooling))
def test_gradient_of_whole_channels_against_finite_differences(name: GlobalPooling) -> None:
    assert torch.autograd.gradcheck(GlobalPool(name), features(2).requires_grad_(), fast_mode=True)


def test_the_gradient_of_an_empty_window_is_zero() -> None:
    given = torch.zeros(1, 1, 4, 4, requires_grad=True)
    (pooling("l2", 2, channels=1, size=2, stride=2)(given).sum() + GlobalPool("l2")(given).sum()).backward()
    assert given.grad is not None
    assert (given.grad == 0).all()
