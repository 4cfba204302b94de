"""ResNets have torchvision's weights by number, name and shape; and the options do what they say."""

import pytest
import torch
from torch import nn

from hilum.networks.resnet import BasicBlock, Bottleneck, ResNetConfig
from hilum.problem import Problem


def problem(dims: int, *, channels: int, classes: int) -> Problem:
    return Problem(
        "classification",
        dims,
        channels=tuple(f"channel{index}" for index in range(channels)),
        classes=tuple(f"class{index}" for index in range(classes)),
        values=tuple((index,) for index in range(classes)),
    )


@pytest.mark.parametrize(("depth", "parameters"), [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032)])
def test_parameters_as_torchvision_counts_them(depth: int, parameters: int) -> None:
    with torch.device("meta"):
        model = ResNetConfig.model_validate({"depth": depth}).build(problem(2, channels=3, classes=1000))
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


def test_names_and_shapes_of_weights_are_those_of_torchvision() -> None:
    with torch.device("meta"):
        state = ResNetConfig(depth=50).build(problem(2, channels=3, classes=1000)).state_dict()
    expected = {
        "conv1.weight": (64, 3, 7, 7),
        "bn1.running_var": (64,),
        "layer1.0.conv1.weight": (64, 64, 1, 1),
        "layer1.0.conv2.weight": (64, 64, 3, 3),
        "layer1.0.bn3.bias": (256,),
        "layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "layer1.0.downsample.1.weight": (256,),
        "layer3.5.conv3.weight": (1024, 256, 1, 1),
        "layer4.2.conv1.weight": (512, 2048, 1, 1),
        "fc.weight": (1000, 2048),
        "fc.bias": (1000,),
    }
    assert {name: tuple(state[name].shape) for name in expected} == expected
    # 53 convolutions, 53 norms of 5 tensors each, 1 linear layer of 2.
    assert len(state) == 53 + 53 * 5 + 2


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("stem", "length"), [("imagenet", 8), ("small", 32)])
def test_stem_decides_how_much_reaches_the_first_stage(dims: int, stem: str, length: int) -> None:
    model = ResNetConfig.model_validate({"width": 4, "stem": stem}).build(problem(dims, channels=1, classes=2)).eval()
    seen: list[torch.Size] = []
    model.get_submodule("layer1").register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    with torch.no_grad():
        model(torch.zeros(1, 1, *(32,) * dims))
    assert seen == [torch.Size((1, 4, *(length,) * dims))]


@pytest.mark.parametrize("size", [(28, 28), (33, 57), (28, 28, 28), (9, 40, 17)])
def test_any_size(size: tuple[int, ...]) -> None:
    model = ResNetConfig(width=4).build(problem(len(size), channels=1, classes=5)).eval()
    with torch.no_grad():
        assert model(torch.zeros(1, 1, *size)).shape == (1, 5)


def test_dropout_stands_before_the_last_layer() -> None:
    model = ResNetConfig(width=4, dropout=0.5).build(problem(2, channels=1, classes=2))
    dropout = [layer for layer in model.modules() if isinstance(layer, nn.Dropout)]
    assert [layer.p for layer in dropout] == [0.5]
    image = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    assert not torch.equal(model(image), model(image))


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
@pytest.mark.parametrize("shortcut", [True, False])
def test_a_block_that_computes_nothing_passes_its_input_on_only_by_its_shortcut(
    block: type[BasicBlock | Bottleneck], shortcut: bool
) -> None:
    made = block(2, 8, width=8 // block.expansion, stride=1, shortcut=shortcut).eval()
    last = made.bn3 if isinstance(made, Bottleneck) else made.bn2
    torch.nn.init.zeros_(last.weight)
    features = torch.randn(2, 8, 5, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(made(features), features.relu() if shortcut else torch.zeros_like(features))


def test_a_plain_network_lacks_the_weights_of_the_shortcuts_only() -> None:
    small = problem(2, channels=1, classes=2)
    plain = ResNetConfig(width=4, shortcuts=False).build(small).state_dict()
    residual = ResNetConfig(width=4).build(small).state_dict()
    assert {name for name in residual if "downsample" not in name} == set(plain)
    assert len(plain) < len(residual)
