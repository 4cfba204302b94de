"""Densely connected networks for classification: DenseNet-121 to 264 in 2D and 3D, with torchvision's names."""

from collections import OrderedDict
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from hilum.layers.dimensional import AVERAGE_POOL, BATCH_NORM, CONVOLUTION, GLOBAL_AVERAGE_POOL, MAX_POOL
from hilum.layers.window import Window, window_faults
from hilum.networks.base import NetworkConfig
from hilum.problem import Problem

BOTTLENECK = 4
"""Channels between the two convolutions of a layer, as a multiple of the growth."""

LAYERS: dict[int, tuple[int, ...]] = {
    121: (6, 12, 24, 16),
    161: (6, 12, 36, 24),
    169: (6, 12, 32, 32),
    201: (6, 12, 48, 32),
    264: (6, 12, 64, 48),
}
"""Layers in each dense block by depth."""

SHRINKING = (
    ("conv0", Window(7, 2, 3)),
    ("pool0", Window(3, 2, 1)),
    *((f"transition{number}", Window(2, 2)) for number in (1, 2, 3)),
)
"""The layers that leave fewer pixels: an axis of 29 is the shortest of which something is left."""


class DenseLayer(nn.Module):
    """Appends `growth` channels, computed by a 1x1 and a 3x3 convolution from all channels there are."""

    def __init__(self, dims: int, in_channels: int, *, growth: int, dropout: float) -> None:
        """Build the layers; normalisation and activation come before each convolution."""
        super().__init__()
        convolution, batch_norm = CONVOLUTION[dims], BATCH_NORM[dims]
        self.norm1 = batch_norm(in_channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = convolution(in_channels, BOTTLENECK * growth, 1, bias=False)
        self.norm2 = batch_norm(BOTTLENECK * growth)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = convolution(BOTTLENECK * growth, growth, 3, padding=1, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, in_channels + growth, *spatial)."""
        new = self.conv1(self.relu1(self.norm1(features)))
        new = self.dropout(self.conv2(self.relu2(self.norm2(new))))
        return torch.cat((features, new), dim=1)


class DenseNet(nn.Module):
    """Logits (B, out_features) for images (B, in_channels, *spatial), after Huang et al. 2017.

    doi:10.1109/CVPR.2017.243. In 2D with a growth of 32, the names and shapes of the weights are those of torchvision.
    """

    def __init__(
        self,
        dims: int,
        in_channels: int,
        out_features: int,
        *,
        layers: tuple[int, ...],
        growth: int = 32,
        dropout: float = 0.0,
    ) -> None:
        """Build one dense block for each of `layers`, with a transition that halves channels and size between them."""
        super().__init__()
        convolution, batch_norm = CONVOLUTION[dims], BATCH_NORM[dims]
        channels = 2 * growth
        stem: OrderedDict[str, nn.Module] = OrderedDict(
            conv0=convolution(in_channels, channels, 7, stride=2, padding=3, bias=False),
            norm0=batch_norm(channels),
            relu0=nn.ReLU(inplace=True),
            pool0=MAX_POOL[dims](3, stride=2, padding=1),
        )
        self.features = nn.Sequential(stem)
        for block, count in enumerate(layers, start=1):
            if block > 1:
                self.features.add_module(f"transition{block - 1}", _transition(dims, channels))
                channels //= 2
            dense = nn.Sequential()
            for layer in range(1, count + 1):
                dense.add_module(f"denselayer{layer}", DenseLayer(dims, channels, growth=growth, dropout=dropout))
                channels += growth
            self.features.add_module(f"denseblock{block}", dense)
        self.features.add_module(f"norm{len(layers) + 1}", batch_norm(channels))
        self.pool = GLOBAL_AVERAGE_POOL[dims](1)
        self.classifier = nn.Linear(channels, out_features)
        self._initialise()

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, out_features) for images (B, in_channels, *spatial)."""
        features = functional.relu(self.features(images))
        logits: Tensor = self.classifier(self.pool(features).flatten(1))
        return logits

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.classifier.bias)


def _transition(dims: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            norm=BATCH_NORM[dims](channels),
            relu=nn.ReLU(inplace=True),
            conv=CONVOLUTION[dims](channels, channels // 2, 1, bias=False),
            pool=AVERAGE_POOL[dims](2),
        )
    )


class DenseNetConfig(NetworkConfig, kind="densenet"):
    """Densely connected network (Huang et al. 2017), for images of at least 29 pixels an axis."""

    depth: Literal[121, 161, 169, 201, 264] = 121
    """Layers with weights; 161 is published with a growth of 48."""
    growth: PositiveInt = 32
    """Channels that each layer appends; the stem has twice as many."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which a feature that a layer appends is set to 0 in training."""

    def build(self, problem: Problem) -> nn.Module:
        """A DenseNet with one output for each class. Raises ConfigError where `problem` does not suit."""
        self.refuse_faults(problem)
        return DenseNet(
            problem.dims,
            problem.num_channels,
            problem.num_outputs,
            layers=LAYERS[self.depth],
            growth=self.growth,
            dropout=self.dropout,
        )

    def size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Which axes are too short, and the layer that leaves nothing of them."""
        return window_faults(SHRINKING, size)

    @classmethod
    def tiny(cls) -> Self:
        """The shallowest one, growing by two channels a layer."""
        return cls(growth=2)
