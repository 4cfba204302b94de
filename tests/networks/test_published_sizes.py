"""Networks at full size have as many weights as published, counted on tensors without content."""

import itertools
import math
from typing import Any

import pytest
import torch

from hilum.networks.base import NetworkConfig
from hilum.networks.locally_connected import LocallyConnectedConfig
from hilum.problem import Problem
from hilum.registry import kinds

IMAGENET: list[tuple[str, dict[str, Any], int]] = [
    ("alexnet", {}, 61_100_840),
    ("vgg", {"depth": 11}, 132_863_336),
    ("vgg", {"depth": 13}, 133_047_848),
    ("vgg", {"depth": 16}, 138_357_544),
    ("vgg", {"depth": 19}, 143_667_240),
    ("vgg", {"depth": 16, "norm": "batch"}, 138_365_992),
    ("inception", {"largest_kernel": 3}, 6_624_904),
    ("resnet", {"depth": 18}, 11_689_512),
    ("resnet", {"depth": 34}, 21_797_672),
    ("resnet", {"depth": 50}, 25_557_032),
    ("resnet", {"depth": 101}, 44_549_160),
    ("resnet", {"depth": 152}, 60_192_808),
    ("densenet", {"depth": 121}, 7_978_856),
    ("densenet", {"depth": 161, "growth": 48}, 28_681_000),
    ("densenet", {"depth": 169}, 14_149_480),
    ("densenet", {"depth": 201}, 20_013_928),
    ("efficientnet", {"variant": "b0"}, 5_288_548),
    ("efficientnet", {"variant": "b7"}, 66_347_960),
    ("vit", {}, 86_567_656 - 768),
]
"""1000 classes and three channels, as torchvision lists them (https://pytorch.org/vision/stable/models.html).

MONAI's vision transformer has no position for the class token, of 768 numbers.
"""


def problem(config: NetworkConfig, *, channels: int, classes: int, size: tuple[int, ...]) -> Problem:
    return Problem(
        config.task,
        len(size),
        channels=tuple(f"channel{index}" for index in range(channels)),
        classes=tuple(f"class{index}" for index in range(classes)),
        values=tuple((index,) for index in range(classes)),
        size=size,
    )


def weights(config: NetworkConfig, *, channels: int, classes: int, size: tuple[int, ...]) -> int:
    task = problem(config, channels=channels, classes=classes, size=size)
    faults = config.faults(task)
    if any("pip install" in fault for fault in faults):
        pytest.skip("; ".join(faults))
    with torch.device("meta"):
        model = config.build(task)
    return sum(parameter.numel() for parameter in model.parameters())


def configured(kind: str, options: dict[str, Any]) -> NetworkConfig:
    found = kinds("networks")[kind].model_validate(options)
    assert isinstance(found, NetworkConfig)
    return found


@pytest.mark.parametrize(("kind", "options", "published"), IMAGENET, ids=str)
def test_imagenet(kind: str, options: dict[str, Any], published: int) -> None:
    assert weights(configured(kind, options), channels=3, classes=1000, size=(224, 224)) == published


def test_densenet_264_adds_what_its_layers_add() -> None:
    """By hand: batch norms and convolutions of each layer and transition, growth 32."""
    expected, maps = 3 * 64 * 49 + 2 * 64, 64
    for block, count in enumerate((6, 12, 64, 48)):
        if block:
            expected, maps = expected + 2 * maps + maps * maps // 2, maps // 2
        for _ in range(count):
            expected, maps = expected + 2 * maps + maps * 128 + 2 * 128 + 128 * 32 * 9, maps + 32
    expected += 2 * maps + 1000 * (maps + 1)
    assert weights(configured("densenet", {"depth": 264}), channels=3, classes=1000, size=(224, 224)) == expected


@pytest.mark.parametrize("padding", ["valid", "zero"])
def test_the_published_unet_has_about_31_million(padding: str) -> None:
    """By hand: 18 convolutions 3x3, 4 up-convolutions 2x2 and one 1x1, each with a bias."""
    widths = (1, 64, 128, 256, 512, 1024)
    down = sum(9 * i * o + o + 9 * o * o + o for i, o in itertools.pairwise(widths))
    up = sum(4 * 2 * o * o + o + 9 * 2 * o * o + o + 9 * o * o + o for o in (512, 256, 128, 64))
    found = weights(configured("unet_2015", {"padding": padding}), channels=1, classes=2, size=(512, 512))
    assert found == down + up + 64 * 2 + 2
    assert found == pytest.approx(31.0e6, rel=0.002)


def test_the_perceptron_of_the_lectures() -> None:
    assert weights(configured("mlp", {}), channels=1, classes=10, size=(28, 28)) == 266_610
    assert weights(configured("mlp", {"hidden": []}), channels=1, classes=10, size=(28, 28)) == 7_850
    assert weights(configured("linear", {}), channels=1, classes=10, size=(28, 28)) == 7_850


def test_unshared_weights() -> None:
    config = LocallyConnectedConfig()
    task = problem(config, channels=1, classes=10, size=(32, 32))
    layers = config.build(task).get_submodule("features")
    assert sum(parameter.numel() for parameter in layers.parameters()) == 122_304


@pytest.mark.parametrize(("options", "published"), [({}, 61_706), ({"penultimate": 100}, 61_706 + 16 * 121 + 16 * 10)])
def test_lenet5(options: dict[str, Any], published: int) -> None:
    assert weights(configured("lenet5", options), channels=1, classes=10, size=(32, 32)) == published


def test_swin_unetr_of_the_paper_has_about_62_million() -> None:
    config = configured("swin_unetr", {"width": 48})
    assert weights(config, channels=4, classes=3, size=(64, 64, 64)) == pytest.approx(62.2e6, rel=0.005)


def test_three_dimensions_cube_the_kernels() -> None:
    """VGG's convolutions: 27 for 9 weights a kernel, and 343 for 49 voxels that the first dense layer sees."""
    config = configured("vgg", {"depth": 11, "width": 4, "hidden": 8})
    flat = config.build(problem(config, channels=1, classes=2, size=(32, 32))).state_dict()
    deep = config.build(problem(config, channels=1, classes=2, size=(32, 32, 32))).state_dict()
    assert flat.keys() == deep.keys()
    for name, weight in flat.items():
        factor = {4: 3, 2: 7 if name == "classifier.0.weight" else 1}.get(weight.dim(), 1)
        assert deep[name].numel() == factor * math.prod(weight.shape), name
