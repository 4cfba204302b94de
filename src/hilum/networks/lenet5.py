"""LeNet-5: two convolutions, each followed by pooling, and three fully connected layers."""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt
from torch import Tensor, nn

from hilum.layers.activations import Activation, activation
from hilum.layers.dimensional import CONVOLUTION
from hilum.networks.base import NetworkConfig
from hilum.problem import Problem

KERNEL = 5
POOL = 2
Pooling = Literal["average", "max"]
POOLINGS: dict[Pooling, dict[int, type[nn.AvgPool2d | nn.AvgPool3d | nn.MaxPool2d | nn.MaxPool3d]]] = {
    "average": {2: nn.AvgPool2d, 3: nn.AvgPool3d},
    "max": {2: nn.MaxPool2d, 3: nn.MaxPool3d},
}


@dataclass(frozen=True)
class LeNet5Style:
    """The choices that a LeNet-5 leaves open."""

    padding: int = 0
    activation: Activation = "tanh"
    pooling: Pooling = "average"
    dropout: float = 0.0


class LeNet5(nn.Module):
    """Logits (B, out_features) for images (B, in_channels, *size), after LeCun et al. 1998 (doi:10.1109/5.726791).

    32 x 32 pixels become 6 @ 28 x 28, 14 x 14, 16 @ 10 x 10, 5 x 5, then 120, 84 and `out_features` numbers. As is
    usual today, the second convolution sees all six maps, the pooling has no weights and the output is linear.
    """

    def __init__(self, in_channels: int, out_features: int, *, size: tuple[int, ...], style: LeNet5Style) -> None:
        """Build the layers for images of `size`."""
        super().__init__()
        convolution = CONVOLUTION[len(size)]
        pool = POOLINGS[style.pooling][len(size)]
        self.features = nn.Sequential(
            OrderedDict(
                c1=convolution(in_channels, 6, KERNEL, padding=style.padding),
                a1=activation(style.activation),
                s2=pool(POOL),
                c3=convolution(6, 16, KERNEL),
                a3=activation(style.activation),
                s4=pool(POOL),
            )
        )
        self.classifier = nn.Sequential(
            OrderedDict(
                c5=nn.Linear(16 * math.prod(feature_size(size, style.padding)), 120),
                a5=activation(style.activation),
                d5=nn.Dropout(style.dropout),
                f6=nn.Linear(120, 84),
                a6=activation(style.activation),
                d6=nn.Dropout(style.dropout),
                output=nn.Linear(84, out_features),
            )
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, out_features) for images (B, in_channels, *size)."""
        logits: Tensor = self.classifier(self.features(images).flatten(1))
        return logits


def feature_size(size: tuple[int, ...], padding: int) -> tuple[int, ...]:
    """Size of the maps that reach the fully connected layers; 0 or less on an axis where the image is too small."""
    return tuple((((length + 2 * padding - KERNEL + 1) // POOL) - KERNEL + 1) // POOL for length in size)


class LeNet5Config(NetworkConfig, kind="lenet5"):
    """Two convolutions and three fully connected layers (LeCun et al. 1998), for small images of one size."""

    needs_size: ClassVar[bool] = True

    padding: NonNegativeInt = 0
    """Zeros around the image; 2 gives 28 x 28 images the map sizes that 32 x 32 ones have without."""
    activation: Activation = "tanh"
    """Function after each layer but the last; tanh as published, relu today."""
    pooling: Pooling = "average"
    """How 2 x 2 (x 2) neighbours become one; average as published, max today."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which a feature before each of the last two layers is set to 0 in training."""

    def build(self, problem: Problem) -> nn.Module:
        """A LeNet5 for inputs of `problem.size`. Raises ConfigError where there is none or it is too small."""
        self.refuse_faults(problem)
        style = LeNet5Style(self.padding, self.activation, self.pooling, self.dropout)
        return LeNet5(problem.num_channels, problem.num_outputs, size=problem.size or (), style=style)

    def size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Which axes are too short for two convolutions and two poolings."""
        smallest = KERNEL - 1 + POOL * (KERNEL - 1 + POOL) - 2 * self.padding
        return [
            f"image axis {axis} is {length}, must be at least {smallest} with padding {self.padding}"
            for axis, length in enumerate(size)
            if length < smallest
        ]
