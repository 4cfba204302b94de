"""LeNet-5: two convolutions, each followed by pooling, and three fully connected layers."""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from hilum.layers.activations import Activation, activation, widening
from hilum.layers.dimensional import CONVOLUTION
from hilum.layers.pooling import Pooling, pooling
from hilum.layers.window import Window, output_size, window_faults
from hilum.networks.base import NetworkConfig
from hilum.problem import Problem

KERNEL = 5
POOL = 2


@dataclass(frozen=True)
class LeNet5Style:
    """The choices that a LeNet-5 leaves open."""

    padding: int = 0
    activation: Activation = "tanh"
    pooling: Pooling = "average"
    dropout: float = 0.0
    penultimate: int = 84


class LeNet5(nn.Module):
    """Logits (B, out_features) for images (B, in_channels, *size), after LeCun et al. 1998 (doi:10.1109/5.726791).

    32 x 32 pixels become 6 @ 28 x 28, 14 x 14, 16 @ 10 x 10, 5 x 5, then 120, 84 and `out_features` numbers. As is
    usual today, the second convolution sees all six maps, the pooling has no weights and the output is linear.
    """

    def __init__(self, in_channels: int, out_features: int, *, size: tuple[int, ...], style: LeNet5Style) -> None:
        """Build the layers for images of `size`."""
        super().__init__()
        dims, wide = len(size), widening(style.activation)
        convolution = CONVOLUTION[dims]
        self.features = nn.Sequential(
            OrderedDict(
                c1=convolution(in_channels, 6 * wide, KERNEL, padding=style.padding),
                a1=activation(style.activation),
                s2=pooling(style.pooling, dims, channels=6, size=POOL, stride=POOL),
                c3=convolution(6, 16 * wide, KERNEL),
                a3=activation(style.activation),
                s4=pooling(style.pooling, dims, channels=16, size=POOL, stride=POOL),
            )
        )
        self.classifier = nn.Sequential(
            OrderedDict(
                c5=nn.Linear(16 * math.prod(output_size(dict(windows(style.padding)).values(), size)), 120 * wide),
                a5=activation(style.activation),
                d5=nn.Dropout(style.dropout),
                f6=nn.Linear(120, style.penultimate * wide),
                a6=activation(style.activation),
                d6=nn.Dropout(style.dropout),
                output=nn.Linear(style.penultimate, out_features),
            )
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, out_features) for images (B, in_channels, *size)."""
        logits: Tensor = self.classifier(self.features(images).flatten(1))
        return logits


def windows(padding: int) -> tuple[tuple[str, Window], ...]:
    """The name and the window of each convolution and pooling, first to last."""
    pool = Window(POOL, POOL)
    return ("c1", Window(KERNEL, padding=padding)), ("s2", pool), ("c3", Window(KERNEL)), ("s4", pool)


class LeNet5Config(NetworkConfig, kind="lenet5"):
    """Two convolutions and three fully connected layers (LeCun et al. 1998), for small images of one size."""

    padding: NonNegativeInt = 0
    """Zeros around the image; 2 gives 28 x 28 images the map sizes that 32 x 32 ones have without."""
    activation: Activation = "tanh"
    """Function after each layer but the last; tanh as published, relu today."""
    pooling: Pooling = "average"
    """How 2 x 2 (x 2) neighbours become one; average as published, max today."""
    penultimate: PositiveInt = 84
    """Units of the last hidden layer; 84 as published, 100 in some lectures."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which a feature before each of the last two layers is set to 0 in training."""

    @property
    def needs_size(self) -> bool:
        """Always: the fully connected layers see every voxel of the last maps."""
        return True

    def build(self, problem: Problem) -> nn.Module:
        """A LeNet5 for inputs of `problem.size`. Raises ConfigError where there is none or it is too small."""
        self.refuse_faults(problem)
        style = LeNet5Style(self.padding, self.activation, self.pooling, self.dropout, self.penultimate)
        return LeNet5(problem.num_channels, problem.num_outputs, size=problem.size or (), style=style)

    def size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Which axes are too short, and the layer that leaves nothing of them."""
        return window_faults(windows(self.padding), size)
