"""First weights by name."""

import math
from typing import Literal

from torch import nn

from hilum.layers.activations import Activation, gain
from hilum.layers.local import LocallyConnected

Initialisation = Literal["he", "he_uniform", "xavier", "xavier_uniform", "normal", "zeros", "torch"]

NORMAL_STD = 0.01
"""Spread of "normal"."""

Weighted = nn.Linear | nn.Conv2d | nn.Conv3d | LocallyConnected


def initialise(module: nn.Module, name: Initialisation, *, activation: Activation) -> None:
    """Draw the weights of all linear and convolution layers within `module` anew, from torch's global generator.

    he: normal, of variance gain^2 / inputs, with the gain of `activation` (He et al. 2015, doi:10.1109/ICCV.2015.123);
    xavier: normal, of variance 2 / (inputs + outputs) (Glorot and Bengio 2010); either also uniform with that variance.
    normal: of spread 0.01 (Krizhevsky et al. 2012). zeros: fits a single layer; in several, all units of one would stay
    alike. torch: as torch draws them. Biases become 0, except for torch. Normalisations are left alone.
    """
    if name == "torch":
        return
    for layer in module.modules():
        if isinstance(layer, Weighted):
            spread = _spread(layer, name, gain(activation))
            if name.endswith("_uniform"):
                nn.init.uniform_(layer.weight, -math.sqrt(3) * spread, math.sqrt(3) * spread)
            else:
                nn.init.normal_(layer.weight, std=spread)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _spread(layer: Weighted, name: Initialisation, scale: float) -> float:
    """Standard deviation of the weights."""
    if name == "zeros":
        return 0.0
    if name == "normal":
        return NORMAL_STD
    shape = layer.weight.shape
    window = math.prod(shape[2:]) // (layer.positions if isinstance(layer, LocallyConnected) else 1)
    outputs, inputs = shape[0] * window, shape[1] * window
    return scale / math.sqrt(inputs) if name.startswith("he") else math.sqrt(2 / (inputs + outputs))
