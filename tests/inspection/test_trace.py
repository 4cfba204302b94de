"""Shapes, weights and multiply-adds of layers: by hand, by a real image, and by torch's own counter."""

import itertools
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from hilum.errors import ConfigError
from hilum.inspection.trace import Layer, trace
from hilum.layers.local import LocallyConnected
from hilum.networks.base import NetworkConfig
from hilum.networks.efficientnet import EfficientNetConfig
from hilum.problem import Problem
from hilum.registry import kinds

LENGTHS = (16, 32, 64, 224)


def problem_for(config: NetworkConfig, size: tuple[int, ...], *, channels: int = 1, classes: int = 3) -> Problem:
    return Problem(
        config.task,
        len(size),
        channels=tuple(f"channel{number}" for number in range(channels)),
        classes=tuple(f"class{number}" for number in range(classes)),
        values=tuple((number,) for number in range(classes)),
        size=size,
    )


def layers_of(
    kind: str, size: tuple[int, ...], settings: Mapping[str, Any] | None = None, *, channels: int = 1, classes: int = 3
) -> list[Layer]:
    config = kinds("networks")[kind].model_validate(settings or {})
    assert isinstance(config, NetworkConfig)
    with torch.device("meta"):
        model = config.build(problem_for(config, size, channels=channels, classes=classes))
    return trace(model, (channels, *size))


def by_name(layers: list[Layer]) -> dict[str, Layer]:
    return {layer.name: layer for layer in layers}


@pytest.mark.parametrize("dims", [2, 3], ids=["2D", "3D"])
@pytest.mark.parametrize("kind", kinds("networks"))
def test_every_network_is_what_it_does_to_an_image(kind: str, dims: int) -> None:
    """Shapes are those of a real image, weights add up, multiply-adds are those of torch's counter."""
    tiny = kinds("networks")[kind]
    assert issubclass(tiny, NetworkConfig)
    config = tiny.tiny()
    sizes = [(length,) * dims for length in LENGTHS]
    size = next((size for size in sizes if not config.faults(problem_for(config, size))), None)
    if size is None:
        pytest.skip(f"takes no {dims}D input")
    model = config.build(problem_for(config, size)).eval()
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            first = output if isinstance(output, Tensor) else output[0]
            shapes[name] = tuple(first.shape[1:])

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in model.named_modules()]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        answer = model(torch.rand(1, 1, *size))
    for handle in handles:
        handle.remove()
    layers = trace(model.to("meta"), (1, *size))
    assert layers[-1].output == tuple(answer.shape[1:])
    assert all(shapes[layer.name] == layer.output for layer in layers if layer.name in shapes)
    called = {name.rpartition(".")[0] for name, _ in model.named_parameters()} & set(shapes)
    weights = sum(value.numel() for name, value in model.named_parameters() if name.rpartition(".")[0] in called)
    assert sum(layer.parameters for layer in layers) == weights
    assert 2 * sum(layer.multiply_adds for layer in layers) == counter.get_total_flops()


def test_the_perceptron_by_hand() -> None:
    layers = layers_of("mlp", (28, 28), classes=10)
    assert [(layer.name, layer.parameters, layer.multiply_adds) for layer in layers] == [
        ("layers.fc1", 300 * 785, 300 * 784),
        ("layers.fc2", 100 * 301, 100 * 300),
        ("layers.output", 10 * 101, 10 * 100),
    ]


def test_lenet5_by_hand() -> None:
    layers = by_name(layers_of("lenet5", (32, 32), classes=10))
    shown = {name: (layer.output, layer.parameters, layer.multiply_adds) for name, layer in layers.items()}
    assert shown == {
        "features.c1": ((6, 28, 28), 6 * 26, 28 * 28 * 6 * 25),
        "features.s2": ((6, 14, 14), 0, 0),
        "features.c3": ((16, 10, 10), 16 * 151, 10 * 10 * 16 * 150),
        "features.s4": ((16, 5, 5), 0, 0),
        "classifier.c5": ((120,), 120 * 401, 120 * 400),
        "classifier.f6": ((84,), 84 * 121, 84 * 120),
        "classifier.output": ((10,), 10 * 85, 10 * 84),
    }
    assert [layers[f"features.{name}"].field for name in ("c1", "s2", "c3", "s4")] == [
        (5, 5),
        (6, 6),
        (14, 14),
        (16, 16),
    ]


@pytest.mark.parametrize(("channels", "filters", "expected"), [(3, 10, 280), (228, 32, 65_696)])
def test_filters_of_3_x_3(channels: int, filters: int, expected: int) -> None:
    layers = by_name(layers_of("convnet", (16, 16), {"channels": [filters]}, channels=channels))
    assert layers["features.conv1_1"].parameters == expected


def test_a_transposed_convolution_by_hand() -> None:
    """4 x 4 pixels of 6 maps become 8 x 8 of 4: each of the 16 gives 6 x 4 x 2 x 2 products."""
    layers = by_name(layers_of("unet", (16, 16), {"channels": [4, 5, 6]}))
    assert layers["up.0"].output == (5, 8, 8)
    assert layers["up.0"].multiply_adds == 16 * 6 * 5 * 4


def test_layers_that_only_learn_are_left_out() -> None:
    settings: dict[str, Any] = {"channels": [4, 5, 6, 7], "deep_supervision": True}
    config = kinds("networks")["unet"].model_validate(settings)
    assert isinstance(config, NetworkConfig)
    model = config.build(problem_for(config, (16, 16))).to("meta")
    layers = trace(model, (1, 16, 16))
    assert not any(layer.name.startswith("supervision") for layer in layers)
    learnt = sum(weights.numel() for weights in model.get_submodule("supervision").parameters())
    assert sum(layer.parameters for layer in layers) + learnt == sum(weights.numel() for weights in model.parameters())


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "padding", "dropped"),
    [
        (6, 3, 1, 0, 0),
        (7, 3, 2, 0, 0),
        (8, 3, 2, 0, 1),
        (8, 3, 2, 1, 0),  # of 8 + 2, what no window reaches is padding
        (12, 5, 4, 0, 3),
        (8, 1, 2, 0, 0),  # every second pixel is passed over anyway
        (9, 2, 2, 0, 1),
        (11, 5, 3, 1, 1),
    ],
)
def test_dropped_voxels_are_those_that_no_window_reaches(
    length: int, kernel: int, stride: int, padding: int, dropped: int
) -> None:
    """By hand, and by the places where a convolution of ones has a gradient."""
    convolution = nn.Conv2d(1, 1, kernel, stride, padding)
    image = torch.zeros(1, 1, length, length, requires_grad=True)
    nn.init.ones_(convolution.weight)
    (gradient,) = torch.autograd.grad(convolution(image).sum(), image)
    last = int(gradient[0, 0].any(0).nonzero().max())
    if kernel >= stride:
        assert length - 1 - last == dropped
    (layer,) = trace(convolution.to("meta"), (1, length, length))
    assert layer.dropped == (((0, dropped), (1, dropped)) if dropped else ())


@pytest.mark.parametrize("pool", [nn.MaxPool2d, nn.AvgPool2d])
def test_a_pooling_that_rounds_up_drops_nothing(pool: Any) -> None:
    layers = [trace(pool(2, ceil_mode=ceil).to("meta"), (1, 7, 6))[0] for ceil in (False, True)]
    assert [layer.dropped for layer in layers] == [((0, 1),), ()]
    assert [layer.output for layer in layers] == [(1, 3, 3), (1, 4, 3)]


def test_padding_of_our_own_counts_as_padding() -> None:
    """11 pixels and one on either side by mirroring: windows of 3 at a stride of 3 leave one, which is padding."""
    for padding, dropped in (("symmetric", ()), ("valid", ((0, 2), (1, 2)))):
        settings = {"channels": [1], "stride": 3, "padding": padding, "pooling": "none"}
        layers = layers_of("convnet", (11, 11), settings)
        assert next(layer for layer in layers if layer.kind == "Conv2d").dropped == dropped


@pytest.mark.parametrize(("length", "kernel", "stride"), [(32, 5, 2), (33, 5, 2), (9, 2, 3), (10, 1, 3)])
def test_a_locally_connected_layer_drops_what_it_has_no_kernel_for(length: int, kernel: int, stride: int) -> None:
    """By the places where it has a gradient; what is passed over between any two kernels anyway is not dropped."""
    layer = LocallyConnected(1, 1, size=(length, length), kernel=kernel, stride=stride)
    image = torch.zeros(1, 1, length, length, requires_grad=True)
    nn.init.ones_(layer.weight)
    (gradient,) = torch.autograd.grad(layer(image).sum(), image)
    lost = length - 1 - int(gradient[0, 0].any(0).nonzero().max())
    expected = ((0, lost), (1, lost)) if lost > max(0, stride - kernel) else ()
    assert [found.dropped for found in trace(layer.to("meta"), (1, length, length))] == [expected]


def test_padding_counts_as_padding_where_every_value_sees_the_whole_image() -> None:
    """Behind its first squeeze and excitation an EfficientNet puts a zero after 23 pixels, which its stride drops."""
    config = EfficientNetConfig.tiny()
    if any("pip install" in fault for fault in config.faults(problem_for(config, (33, 47)))):
        pytest.skip("not installed")
    model = config.build(problem_for(config, (33, 47))).double()
    block = model.get_submodule("_blocks.1.1")
    maps = block.get_parameter("_depthwise_conv.weight").shape[0]
    features = torch.rand(1, maps, 16, 23, dtype=torch.float64, requires_grad=True)
    convolved = block.get_submodule("_depthwise_conv")(block.get_submodule("_depthwise_conv_padding")(features))
    (gradient,) = torch.autograd.grad(convolved.sum(), features)
    assert gradient[0, 0, :, -1].any()
    layer = by_name(trace(model.to("meta").float(), (1, 33, 47)))["_blocks.1.1._depthwise_conv"]
    assert (layer.field, layer.dropped) == ("all", ())


class Plain(nn.Module):
    """Two convolutions without padding and a fully connected layer for images of 8 x 8."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 2, 3), nn.MaxPool2d(5)
        self.last = nn.Linear(2, 3)

    def forward(self, images: Tensor) -> Tensor:
        answer: Tensor = self.last(self.second(self.first(images)).flatten(1))
        return answer


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (
            (8, 6),
            "layer 'second': a kernel of 5 does not fit into the 4 voxels that reach it along image axis 1: nothing",
        ),
        (
            (2, 8),
            "layer 'first': a kernel of 3 does not fit into the 2 voxels that reach it along image axis 0: nothing",
        ),
        ((20, 20), "layer 'last': "),
    ],
    ids=str,
)
def test_a_layer_that_nothing_comes_out_of_is_named(size: tuple[int, int], said: str) -> None:
    assert trace(Plain().to("meta"), (1, 8, 8))[-1].output == (3,)
    with pytest.raises(ConfigError) as caught:
        trace(Plain().to("meta"), (1, *size))
    assert str(caught.value).startswith(said)


def test_the_formula_of_the_lectures_is_what_torch_does() -> None:
    """floor((n + 2 p - f) / s) + 1."""
    for n, f, s, p in itertools.product((7, 8, 9, 12), (1, 2, 3, 5), (1, 2, 3), (0, 1)):
        layer = trace(nn.Conv3d(1, 1, f, s, p).to("meta"), (1, n, n, n))[0]
        assert layer.output == (1, *[(n + 2 * p - f) // s + 1] * 3)
