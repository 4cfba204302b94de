"""The locally connected layer: a convolution where its kernels are all alike, brute force where they are not."""

import itertools

import pytest
import torch
from torch.nn import functional

from hilum.layers.dimensional import CONVOLUTION
from hilum.layers.local import LocallyConnected


def images(dims: int) -> torch.Tensor:
    return torch.randn(2, 2, *(6, 5, 4)[:dims], generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def layer(dims: int, *, kernel: int = 3, stride: int = 1) -> LocallyConnected:
    torch.manual_seed(4)
    return LocallyConnected(2, 3, size=(6, 5, 4)[:dims], kernel=kernel, stride=stride).double()


def test_published_number_of_weights() -> None:
    shared = CONVOLUTION[2](1, 6, 5)
    unshared = LocallyConnected(1, 6, size=(32, 32), kernel=5)
    assert sum(parameter.numel() for parameter in shared.parameters()) == 156
    assert sum(parameter.numel() for parameter in unshared.parameters()) == 122_304


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (2, 2), (1, 3)])
@pytest.mark.parametrize("dims", [2, 3])
def test_equal_kernels_are_a_convolution(dims: int, kernel: int, stride: int) -> None:
    local = layer(dims, kernel=kernel, stride=stride)
    with torch.no_grad():
        local.weight.copy_(local.weight[..., :1].expand_as(local.weight))
        local.bias.zero_()
    theirs = {2: functional.conv2d, 3: functional.conv3d}[dims](images(dims), local.weight[..., 0], stride=stride)
    torch.testing.assert_close(local(images(dims)), theirs)


def test_every_place_has_a_kernel_and_a_bias_of_its_own() -> None:
    local, given = layer(2), images(2)
    answer = local(given)
    bias = local.bias.view(3, 4, 3)
    for row, column in itertools.product(range(4), range(3)):
        seen = given[:, :, row : row + 3, column : column + 3]
        kernel = local.weight[..., row * 3 + column]
        expected = (seen[:, None] * kernel).sum((2, 3, 4)) + bias[:, row, column]
        torch.testing.assert_close(answer[:, :, row, column], expected)


@pytest.mark.parametrize("dims", [2, 3])
def test_gradient_against_finite_differences(dims: int) -> None:
    local = layer(dims, stride=2)
    inputs = (images(dims).requires_grad_(), *local.parameters())
    assert torch.autograd.gradcheck(lambda given, *_: local(given), inputs, fast_mode=True)
