"""First weights have the published spread, whatever the layer."""

import math
from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import nn

from hilum.layers.initialisation import Initialisation, Weighted, initialise
from hilum.layers.local import LocallyConnected

LAYERS: dict[str, Callable[[], Weighted]] = {
    "linear": lambda: nn.Linear(50, 400),
    "conv2d": lambda: nn.Conv2d(10, 80, 5),
    "conv3d": lambda: nn.Conv3d(8, 40, 3),
    "local": lambda: LocallyConnected(8, 10, size=(12, 12), kernel=5),
}
FANS = {"linear": (50, 400), "conv2d": (250, 2000), "conv3d": (216, 1080), "local": (200, 250)}


def expected_spread(name: Initialisation, layer: str) -> float:
    inputs, outputs = FANS[layer]
    if name in ("he", "he_uniform"):
        return math.sqrt(2 / inputs)
    if name in ("xavier", "xavier_uniform"):
        return math.sqrt(2 / (inputs + outputs))
    return 0.01 if name == "normal" else 0.0


@pytest.mark.parametrize("name", [name for name in get_args(Initialisation) if name != "torch"])
@pytest.mark.parametrize("layer", LAYERS)
def test_spread(name: Initialisation, layer: str) -> None:
    torch.manual_seed(1)
    module = LAYERS[layer]()
    initialise(module, name, activation="relu")
    weight, bias = module.weight, module.bias
    spread = expected_spread(name, layer)
    assert weight.std().item() == pytest.approx(spread, rel=0.03)
    assert abs(weight.mean().item()) <= 0.03 * spread
    assert bias is not None
    assert not bias.any()
    if name.endswith("uniform"):
        assert weight.abs().max() <= math.sqrt(3) * spread * (1 + 1e-6)


def test_he_of_a_leaky_rectifier_is_torchs() -> None:
    torch.manual_seed(2)
    ours = nn.Conv2d(3, 5, 3)
    initialise(ours, "he", activation="leaky_relu")
    torch.manual_seed(2)
    theirs = nn.Conv2d(3, 5, 3)
    nn.init.kaiming_normal_(theirs.weight, a=0.01, nonlinearity="leaky_relu")
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_torch_leaves_all_as_it_is() -> None:
    torch.manual_seed(3)
    layer = nn.Linear(4, 4)
    before = layer.weight.clone(), layer.bias.clone()
    initialise(layer, "torch", activation="relu")
    assert torch.equal(layer.weight, before[0])
    assert torch.equal(layer.bias, before[1])
