"""The multilayer perceptron: fully connected layers only."""

import math
from collections import OrderedDict
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, ValidationInfo, field_validator
from torch import Tensor, nn

from hilum.layers.activations import Activation, activation, widening
from hilum.layers.initialisation import Initialisation, initialise
from hilum.layers.norms import norm
from hilum.networks.base import NetworkConfig
from hilum.problem import Problem

FeatureNorm = Literal["none", "batch", "layer"]


def dense_layers(
    in_features: int,
    out_features: int,
    *,
    hidden: tuple[int, ...],
    activate: Activation,
    normalise: FeatureNorm = "none",
    dropout: float = 0.0,
) -> nn.Sequential:
    """[fully connected -> norm -> activation -> dropout] for each of `hidden`, then linear outputs."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, width in enumerate(hidden, start=1):
        wide = width * widening(activate)
        layers[f"fc{number}"] = nn.Linear(in_features, wide)
        if normalise != "none":
            layers[f"norm{number}"] = norm(normalise, 0, channels=wide)
        layers[f"act{number}"] = activation(activate)
        if dropout:
            layers[f"drop{number}"] = nn.Dropout(dropout)
        in_features = width
    layers["output"] = nn.Linear(in_features, out_features)
    return nn.Sequential(layers)


def without_hidden(received: float, info: ValidationInfo) -> float:
    """The dropout of hidden layers as received. Raises ValueError where there is one and no such layer."""
    if received and info.data.get("hidden") == ():
        raise ValueError("0, or units in hidden, which alone are dropped")
    return received


class MLP(nn.Module):
    """Logits (B, out_features) of images (B, in_channels, *size), by fully connected layers (Rumelhart et al. 1986).

    doi:10.1038/323533a0.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        """Take the layers, such as `dense_layers` makes them."""
        super().__init__()
        self.layers = layers

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, out_features)."""
        logits: Tensor = self.layers(images.flatten(1))
        return logits


class MLPConfig(NetworkConfig, kind="mlp"):
    """Multilayer perceptron (Rumelhart et al. 1986), for images of one size."""

    hidden: tuple[PositiveInt, ...] = (300, 100)
    """Units of each hidden layer; none makes it a linear model."""
    activation: Activation = "relu"
    """Function after each hidden layer."""
    norm: FeatureNorm = "none"
    """Normalisation before it: of each unit over the batch, or of all units of a layer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which a hidden unit is set to 0 in training."""
    initialisation: Initialisation = "he"
    """First weights."""

    _refuse_idle_dropout = field_validator("dropout")(without_hidden)

    @field_validator("activation", "norm")
    @classmethod
    def _refuse_idle(cls, received: str, info: ValidationInfo) -> str:
        hidden, default = info.data.get("hidden", (0,)), cls.model_fields[str(info.field_name)].default
        if received != default and not hidden:
            raise ValueError(f"{default}, or units in hidden: without them there is nothing to apply it to")
        if received == "layer" and 1 in hidden and info.data.get("activation") != "maxout":
            raise ValueError("another norm, or more than one unit in each layer: that of one unit is always 0")
        return received

    @property
    def needs_size(self) -> bool:
        """Always: every voxel has weights of its own."""
        return True

    def build(self, problem: Problem) -> nn.Module:
        """An MLP with one output for each class. Raises ConfigError where `problem` has no size."""
        self.refuse_faults(problem)
        layers = dense_layers(
            problem.num_channels * math.prod(problem.size or ()),
            problem.num_outputs,
            hidden=self.hidden,
            activate=self.activation,
            normalise=self.norm,
            dropout=self.dropout,
        )
        initialise(layers, self.initialisation, activation=self.activation)
        return MLP(layers)

    @classmethod
    def tiny(cls) -> Self:
        """Two narrow layers."""
        return cls(hidden=(6, 5))
