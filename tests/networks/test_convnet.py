"""The settable convolutional network: its pattern, every option in 2D and 3D, and what it refuses."""

from typing import Any, get_args

import pytest
import torch
from torch import nn

from hilum.errors import ConfigError
from hilum.layers.activations import Activation
from hilum.layers.blocks import Surround
from hilum.layers.initialisation import Initialisation
from hilum.layers.norms import Norm
from hilum.layers.padding import Padding
from hilum.layers.pooling import GlobalPooling, Pooling
from hilum.networks.convnet import ConvNetConfig
from hilum.networks.lenet5 import LeNet5Config
from hilum.networks.mlp import MLPConfig
from hilum.networks.unet import UNetConfig
from hilum.problem import Problem
from hilum.registry import kinds

SMALL: dict[str, Any] = {"channels": [2, 3], "hidden": [4]}
OPTIONS: list[dict[str, Any]] = [
    *({"activation": name} for name in get_args(Activation)),
    *({"pooling": name} for name in (*get_args(Pooling), "none")),
    *({"padding": name} for name in get_args(Padding)),
    *({"norm": name} for name in get_args(Norm)),
    *({"reduce": name} for name in (*get_args(GlobalPooling), "flatten")),
    *({"initialisation": name} for name in get_args(Initialisation)),
    {"padding": "constant", "padding_value": -1.0},
    {"padding": "zero", "padding_margin": 2},
    {"padding": "symmetric", "padding_margin": 9},
    {"stride": 2, "pooling": "none"},
    {"dilation": 2, "kernel": 2},
    {"convolutions": 3, "hidden": [5, 4], "dropout": 0.3},
    {"pool_size": 3, "pool_stride": 2},
]


def problem(size: tuple[int, ...] | None, *, dims: int = 2, kind: Any = "classification") -> Problem:
    classes, values = ("a", "b", "c"), ((0,), (1,), (2,))
    return Problem(kind, dims, channels=("one", "two"), classes=classes, values=values, size=size)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_option_gives_logits_and_gradients(dims: int, options: dict[str, Any]) -> None:
    size = (13, 12, 11)[:dims]
    torch.manual_seed(2)
    model = ConvNetConfig.model_validate(SMALL | options).build(problem(size, dims=dims))
    logits = model(torch.randn(2, 2, *size, generator=torch.Generator().manual_seed(3)))
    assert logits.shape == (2, 3)
    logits.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_the_pattern() -> None:
    """[[conv -> act] x 2 -> pool] x 2 -> [fc -> act] x 2 -> fc."""
    config = ConvNetConfig.model_validate({"channels": [4, 8], "convolutions": 2, "hidden": [7, 6]})
    model = config.build(problem((8, 8)))
    layers = [type(layer) for layer in model.modules() if not list(layer.children())]
    stage = [nn.Conv2d, nn.ReLU, nn.Conv2d, nn.ReLU, nn.MaxPool2d]
    dense = [nn.Flatten, nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert layers == [*stage, *stage, *dense]
    assert [tuple(layer.weight.shape) for layer in model.modules() if isinstance(layer, nn.Linear)] == [
        (7, 8 * 2 * 2),
        (6, 7),
        (3, 6),
    ]


def test_with_the_right_settings_it_is_lenet5() -> None:
    settings: dict[str, Any] = {
        "channels": [6, 16],
        "kernel": 5,
        "padding": "valid",
        "pooling": "average",
        "activation": "tanh",
        "hidden": [120, 84],
    }
    ours = ConvNetConfig.model_validate(settings).build(problem((32, 32)))
    theirs = LeNet5Config().build(problem((32, 32)))
    state = dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True))
    theirs.load_state_dict(state)
    images = torch.randn(2, 2, 32, 32, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(ours(images), theirs(images))


def test_without_a_fixed_size_where_maps_are_pooled() -> None:
    config = ConvNetConfig.model_validate(SMALL | {"reduce": "average"})
    model = config.build(problem(None)).eval()
    assert not config.needs_size
    for size in ((9, 30), (4, 4)):
        assert model(torch.zeros(1, 2, *size)).shape == (1, 3)
    with pytest.raises(ConfigError, match="resize"):
        ConvNetConfig().build(problem(None))


def test_the_layer_that_leaves_nothing_is_named() -> None:
    config = ConvNetConfig.model_validate({"channels": [4, 4, 4], "kernel": 5, "padding": "valid"})
    faults = config.size_faults((40, 20))
    assert len(faults) == 1
    assert "axis 1 is 20" in faults[0]
    assert "conv3_1" in faults[0]


IDLE: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("convnet", {"padding": "reflect"}, {"padding_value": 1.0}, "padding: constant"),
    ("convnet", {"padding": "same"}, {"padding_margin": 1}, "padding: zero"),
    ("convnet", {"pooling": "none"}, {"pool_size": 3}, "a pooling"),
    ("convnet", {"pooling": "none"}, {"pool_stride": 2}, "a pooling"),
    ("convnet", {"kernel": 1}, {"dilation": 2}, "larger kernel"),
    ("convnet", {"hidden": []}, {"dropout": 0.5}, "units in hidden"),
    ("locally_connected", {"hidden": []}, {"dropout": 0.5}, "units in hidden"),
    ("mlp", {"hidden": []}, {"dropout": 0.5}, "units in hidden"),
    ("mlp", {"hidden": []}, {"norm": "batch"}, "units in hidden"),
    ("mlp", {"hidden": []}, {"activation": "tanh"}, "units in hidden"),
    ("mlp", {"hidden": [4, 1]}, {"norm": "layer"}, "more than one unit"),
    ("unet", {"channels": [4]}, {"skips": False}, "several levels"),
]
"""A network, its settings, and one that has no effect with them."""


@pytest.mark.parametrize(("kind", "settings", "idle", "expected"), IDLE, ids=[f"{case[0]}-{case[2]}" for case in IDLE])
def test_what_would_have_no_effect_is_refused(
    kind: str, settings: dict[str, Any], idle: dict[str, Any], expected: str
) -> None:
    network = kinds("networks")[kind]
    with pytest.raises(ValueError, match=expected):
        network.model_validate(settings | idle)
    config = network.model_validate(settings)
    written = config.model_dump(mode="json")  # with all defaults, as a run keeps it
    written.pop("kind")
    assert network.model_validate(written) == config


@pytest.mark.parametrize("activation", get_args(Activation))
def test_every_activation_in_other_networks(activation: Activation) -> None:
    for config, task in (
        (LeNet5Config(activation=activation), problem((16, 16))),
        (MLPConfig(hidden=(4, 3), activation=activation), problem((16, 16))),
        (UNetConfig(channels=(2, 4), activation=activation, residual=True), problem((16, 16), kind="segmentation")),
    ):
        logits = config.build(task)(torch.zeros(2, 2, 16, 16))
        assert logits.shape[:2] == (2, 3)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("padding", get_args(Surround))
def test_every_padding_in_the_unet_keeps_a_constant_image_constant_but_for_zeros(padding: Surround, dims: int) -> None:
    """Whatever repeats the image cannot tell its border from its middle where all voxels are alike."""
    size = (8,) * dims
    config = UNetConfig(channels=(2, 3), norm="none", padding=padding)
    torch.manual_seed(5)
    model = config.build(problem(size, dims=dims, kind="segmentation")).eval()
    with torch.no_grad():
        first = model.get_submodule("encoder.0")(torch.ones(1, 2, *size))
    spread = (first - first.flatten(2).mean(2).view(1, 2, *(1,) * dims)).abs().max().item()
    assert (spread > 1e-3) == (padding == "zero")


@pytest.mark.parametrize("norm", get_args(Norm))
def test_every_normalisation_in_the_unet(norm: Norm) -> None:
    config = UNetConfig(channels=(2, 4), norm=norm, residual=True)
    model = config.build(problem((16, 16), kind="segmentation"))
    assert model(torch.zeros(2, 2, 16, 16)).shape == (2, 3, 16, 16)
    convolutions = [layer for layer in model.get_submodule("encoder").modules() if isinstance(layer, nn.Conv2d)]
    assert all((layer.bias is not None) == (norm == "none") for layer in convolutions)
