"""Our classifiers in 2D take torchvision's weights as they are, and give its outputs."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import nn

from hilum.networks.base import NetworkConfig
from hilum.problem import Problem
from hilum.registry import kinds

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


@pytest.mark.parametrize(("kind", "options", "name", "theirs", "length"), PARAMETERS)
def test_same_outputs_with_their_weights(
    models: Any, kind: str, options: dict[str, Any], name: str, theirs: dict[str, Any], length: int
) -> None:
    torch.manual_seed(3)
    expected = getattr(models, name)(weights=None, num_classes=7, **theirs).eval()
    stir(expected)
    config = kinds("networks")[kind].model_validate(options)
    assert isinstance(config, NetworkConfig)
    classes, values = tuple("abcdefg"), tuple((index,) for index in range(7))
    ours = config.build(Problem("classification", 2, channels=("r", "g", "b"), classes=classes, values=values)).eval()
    ours.load_state_dict(expected.state_dict(), strict=True)
    images = torch.randn(2, 3, length, length + 6, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        torch.testing.assert_close(ours(images), expected(images), rtol=1e-5, atol=1e-5)
