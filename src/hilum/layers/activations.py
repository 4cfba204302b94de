"""Activation functions by name."""

from typing import Literal

from torch import nn

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"]

LEAKY_SLOPE = 0.01
"""Slope of leaky_relu below zero; initialisation takes it into account."""

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def activation(name: Activation) -> nn.Module:
    """A new module that applies the named function to every element."""
    if name == "relu":
        return nn.ReLU(inplace=True)
    if name == "leaky_relu":
        return nn.LeakyReLU(LEAKY_SLOPE, inplace=True)
    return _ACTIVATIONS[name]()
