"""Our classifiers against MONAI's, with the same weights: the same logits, in 2D and 3D."""

from typing import Any

import pytest
import torch
from torch import nn

from hilum.networks.densenet import DenseNetConfig
from hilum.networks.resnet import ResNetConfig
from hilum.problem import Problem

every_dims = pytest.mark.parametrize("dims", [2, 3], ids=["2D", "3D"])


def problem(dims: int) -> Problem:
    classes, values = ("a", "b", "c"), ((0,), (1,), (2,))
    return Problem("classification", dims, channels=("image", "other"), classes=classes, values=values)


def stir(model: nn.Module) -> None:
    """Give every norm statistics and weights that are not its first ones, so that mixing them up would show."""
    generator = torch.Generator().manual_seed(4)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
            for tensor in (layer.weight.data, layer.running_var, layer.running_mean, layer.bias.data):
                assert tensor is not None
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))


def assert_same_logits(ours: nn.Module, theirs: nn.Module, *, dims: int, length: int) -> None:
    images = torch.randn(2, 2, *(length,) * dims, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ours.double().eval()(images), theirs.double().eval()(images))


@every_dims
@pytest.mark.parametrize("depth", [18, 34, 50])
def test_resnet(dims: int, depth: int) -> None:
    from monai.networks.nets import ResNet

    block, counts = {
        18: ("basic", [2, 2, 2, 2]),
        34: ("basic", [3, 4, 6, 3]),
        50: ("bottleneck", [3, 4, 6, 3]),
    }[depth]
    options: dict[str, Any] = {"conv1_t_stride": 2, "bias_downsample": False, "shortcut_type": "B"}
    theirs = ResNet(
        block, counts, [4, 8, 16, 32], spatial_dims=dims, n_input_channels=2, num_classes=3, **options
    )  # fmt: skip
    ours = ResNetConfig.model_validate({"depth": depth, "width": 4}).build(problem(dims))
    stir(ours)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    assert_same_logits(ours, theirs, dims=dims, length=37)


@every_dims
@pytest.mark.parametrize("depth", [121, 169])
def test_densenet(dims: int, depth: int) -> None:
    from monai.networks.nets import DenseNet

    layers = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32)}[depth]
    theirs = DenseNet(dims, 2, 3, init_features=8, growth_rate=4, block_config=layers)
    ours = DenseNetConfig.model_validate({"depth": depth, "growth": 4}).build(problem(dims))
    stir(ours)
    state = ours.state_dict()
    # MONAI names the parts otherwise, and keeps them in the same order.
    assert [tensor.shape for tensor in state.values()] == [tensor.shape for tensor in theirs.state_dict().values()]
    theirs.load_state_dict(dict(zip(theirs.state_dict(), state.values(), strict=True)), strict=True)
    assert_same_logits(ours, theirs, dims=dims, length=40)
