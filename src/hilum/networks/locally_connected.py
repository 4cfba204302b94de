"""A network of locally connected layers: like a convolutional one, but without shared weights."""

import math
from collections import OrderedDict
from typing import Annotated, Self

from pydantic import Field, PositiveInt, field_validator
from torch import Tensor, nn

from hilum.layers.activations import Activation, activation, widening
from hilum.layers.initialisation import Initialisation, initialise
from hilum.layers.local import LocallyConnected
from hilum.layers.window import Window, window_faults
from hilum.networks.base import NetworkConfig
from hilum.networks.mlp import dense_layers, without_hidden
from hilum.problem import Problem


class LocalNetwork(nn.Module):
    """Logits (B, out_features) of images (B, in_channels, *size) (LeCun 1989, "Net-3" without weight sharing)."""

    def __init__(self, features: nn.Sequential, classifier: nn.Sequential) -> None:
        """Take the locally connected layers, and the fully connected ones after them."""
        super().__init__()
        self.features = features
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, out_features)."""
        logits: Tensor = self.classifier(self.features(images).flatten(1))
        return logits


class LocallyConnectedConfig(NetworkConfig, kind="locally_connected"):
    """Layers that see as little as a convolution, with another kernel at every place; for images of one size."""

    channels: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (6,)
    """Maps of each locally connected layer."""
    kernel: PositiveInt = 5
    """Voxels along each axis that a unit sees."""
    stride: PositiveInt = 1
    """Voxels from a unit to the next."""
    activation: Activation = "tanh"
    """Function after each layer but the last."""
    hidden: tuple[PositiveInt, ...] = ()
    """Units of each fully connected layer between these and the output."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which a unit of a fully connected layer is set to 0 in training."""
    initialisation: Initialisation = "xavier"
    """First weights."""

    _refuse_idle = field_validator("dropout")(without_hidden)

    @property
    def needs_size(self) -> bool:
        """Always: every place has weights of its own."""
        return True

    def build(self, problem: Problem) -> nn.Module:
        """A LocalNetwork with one output for each class. Raises ConfigError where the size is unknown or too small."""
        self.refuse_faults(problem)
        size, maps = problem.size or (), problem.num_channels
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, width in enumerate(self.channels, start=1):
            wide = width * widening(self.activation)
            layer = LocallyConnected(maps, wide, size=size, kernel=self.kernel, stride=self.stride)
            layers[f"local{number}"] = layer
            layers[f"act{number}"] = activation(self.activation)
            size, maps = layer.out_size, width
        voxels = maps * math.prod(size)
        classifier = dense_layers(
            voxels, problem.num_outputs, hidden=self.hidden, activate=self.activation, dropout=self.dropout
        )
        network = LocalNetwork(nn.Sequential(layers), classifier)
        initialise(network, self.initialisation, activation=self.activation)
        return network

    def size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Which axes are too short for all layers."""
        window = Window(self.kernel, self.stride)
        return window_faults([(f"local{number}", window) for number, _ in enumerate(self.channels, start=1)], size)

    @classmethod
    def tiny(cls) -> Self:
        """Two layers of two maps each."""
        return cls(channels=(2, 2), stride=2)
