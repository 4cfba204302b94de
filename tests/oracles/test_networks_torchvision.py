"""Our classifiers in 2D take torchvision's weights as they are, and give its outputs."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from hilum.networks.base import NetworkConfig
from hilum.problem import Problem
from hilum.registry import kinds
from hilum.training.imagenet import ADDRESS, FILES
from hilum.training.pretrained import Roles, load, match
from hilum.training.weights_file import read_weights

pytestmark = pytest.mark.skipif(find_spec("torchvision") is None, reason="torchvision is not installed")

CASES: list[tuple[str, dict[str, Any], str, dict[str, Any], int]] = [
    ("alexnet", {}, "alexnet", {}, 70),
    ("vgg", {"depth": 11}, "vgg11", {}, 40),
    ("vgg", {"depth": 16, "norm": "batch"}, "vgg16_bn", {}, 33),
    ("inception", {"largest_kernel": 3}, "googlenet", {"aux_logits": False, "init_weights": False}, 75),
    ("resnet", {"depth": 18}, "resnet18", {}, 70),
    ("resnet", {"depth": 50}, "resnet50", {}, 70),
    ("densenet", {"depth": 121}, "densenet121", {}, 70),
]
PARAMETERS = [pytest.param(*case, id=case[2], marks=[pytest.mark.slow] if case[0] == "vgg" else []) for case in CASES]


@pytest.fixture(scope="module")
def models() -> Any:
    """torchvision's networks; it does not import beside a CPU build of torch that lacks two operators."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in ("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor", "qnms(Tensor dets) -> Tensor"):
        try:
            library.define(schema)
        except RuntimeError:  # they are there: another build of torch
            break
    import torchvision.models

    return torchvision.models


def stir(model: nn.Module) -> None:
    """Give every norm statistics and weights that are not its first ones, so that mixing them up would show."""
    generator = torch.Generator().manual_seed(4)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.weight.data, layer.running_var, layer.running_mean, layer.bias.data):
                assert tensor is not None
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))


def ours_for(kind: str, options: dict[str, Any], *, channels: tuple[str, ...] = ("r", "g", "b")) -> nn.Module:
    """Our network for seven classes."""
    config = kinds("networks")[kind].model_validate(options)
    assert isinstance(config, NetworkConfig)
    classes, values = tuple("abcdefg"), tuple((index,) for index in range(7))
    return config.build(Problem("classification", 2, channels=channels, classes=classes, values=values)).eval()


@pytest.mark.parametrize(("kind", "options", "name", "theirs", "length"), PARAMETERS)
def test_same_outputs_with_their_weights(
    models: Any, kind: str, options: dict[str, Any], name: str, theirs: dict[str, Any], length: int
) -> None:
    torch.manual_seed(3)
    expected = getattr(models, name)(weights=None, num_classes=7, **theirs).eval()
    stir(expected)
    ours = ours_for(kind, options)
    ours.load_state_dict(expected.state_dict(), strict=True)
    images = torch.randn(2, 3, length, length + 6, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        torch.testing.assert_close(ours(images), expected(images), rtol=1e-5, atol=1e-5)


LAYOUTS: list[tuple[str, dict[str, Any], str]] = [
    *(("resnet", {"depth": depth}, f"resnet{depth}") for depth in (18, 34, 50, 101, 152)),
    *(("vgg", {"depth": depth}, f"vgg{depth}") for depth in (11, 13, 16, 19)),
    *(("vgg", {"depth": depth, "norm": "batch"}, f"vgg{depth}_bn") for depth in (11, 13, 16, 19)),
    *(("densenet", {"depth": depth}, f"densenet{depth}") for depth in (121, 169, 201)),
    ("densenet", {"depth": 161, "growth": 48}, "densenet161"),
]
"""Every depth that both have; those not among CASES repeat blocks that are compared there."""


@pytest.mark.parametrize(("kind", "options", "name"), LAYOUTS, ids=[case[2] for case in LAYOUTS])
def test_every_depth_has_their_layout(models: Any, kind: str, options: dict[str, Any], name: str) -> None:
    with torch.device("meta"):
        ours, theirs = ours_for(kind, options), getattr(models, name)(weights=None, num_classes=7)
    layouts = [[(key, tuple(tensor.shape)) for key, tensor in net.state_dict().items()] for net in (ours, theirs)]
    assert layouts[0] == layouts[1]


@pytest.mark.parametrize(
    ("kind", "options", "name", "theirs"),
    [
        ("resnet", {}, "resnet18", {}),
        ("densenet", {}, "densenet121", {}),
        ("inception", {"largest_kernel": 3}, "googlenet", {"aux_logits": True, "init_weights": False}),
    ],
)
def test_a_file_in_their_layout_gives_their_outputs_on_grey_images_too(
    models: Any, tmp_path: Path, kind: str, options: dict[str, Any], name: str, theirs: dict[str, Any]
) -> None:
    """Written as their files are: DenseNet's names with dots, GoogLeNet with its two helpers; one channel read."""
    torch.manual_seed(5)
    expected = getattr(models, name)(weights=None, num_classes=7, **theirs).eval()
    stir(expected)
    state = expected.state_dict()
    if kind == "densenet":
        state = {re.sub(r"(norm|relu|conv)([12])\.", r"\1.\2.", key): value for key, value in state.items()}
    torch.save(state, tmp_path / "theirs.pth")
    ours = ours_for(kind, options, channels=("grey",))
    first = "features.conv0.weight" if kind == "densenet" else next(iter(ours.state_dict()))
    found = match(
        read_weights(tmp_path / "theirs.pth")[0],
        ours.state_dict(),
        Roles(inputs=frozenset([first]), num_channels=1),
    )
    assert found.anew == {}
    assert list(found.summed) == [first]
    assert all(name.startswith("aux") for name in found.unused)
    load(ours, found)
    grey = torch.randn(2, 1, 75, 80, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        torch.testing.assert_close(ours(grey), expected(grey.repeat(1, 3, 1, 1)), rtol=1e-5, atol=1e-5)


def test_the_files_are_those_that_torchvision_names(models: Any) -> None:
    for name, file in FILES.items():
        weights = models.get_model_weights({"inception": "googlenet"}.get(name, name))
        assert weights.IMAGENET1K_V1.url == ADDRESS + file
