"""VGG networks in 2D and 3D: many small filters, with torchvision's names of weights."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from hilum.layers.dimensional import BATCH_NORM, CONVOLUTION, GLOBAL_AVERAGE_POOL, MAX_POOL
from hilum.networks.base import NetworkConfig
from hilum.problem import Problem

GRID = 7
"""Voxels along each axis that the fully connected layers see, whatever the size of the image."""
STAGES: dict[int, tuple[int, ...]] = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""Convolutions in each of the five stages by depth."""
WIDTHS = (1, 2, 4, 8, 8)
"""Maps of each stage, as multiples of the first."""
SMALLEST = 2 ** len(WIDTHS)
"""Shortest axis that leaves a voxel after five poolings."""


class VGG(nn.Module):
    """Logits (B, out_features) of images (B, in_channels, *spatial), after Simonyan and Zisserman 2015.

    arXiv:1409.1556. In 2D with a width of 64 and 4096 units, the names and shapes of the weights are torchvision's.
    Maps are averaged to 7 voxels an axis, so that images of other sizes than 224 pass.
    """

    def __init__(
        self, dims: int, in_channels: int, out_features: int, *, features: nn.Sequential, hidden: int, dropout: float
    ) -> None:
        """Take the convolutions, which give `in_channels` maps, and build three fully connected layers after them."""
        super().__init__()
        self.features = features
        self.avgpool = GLOBAL_AVERAGE_POOL[dims](GRID)
        self.classifier = nn.Sequential(
            nn.Linear(in_channels * GRID**dims, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, out_features),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
            if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, out_features)."""
        logits: Tensor = self.classifier(self.avgpool(self.features(images)).flatten(1))
        return logits


def vgg_features(
    dims: int, in_channels: int, *, stages: tuple[int, ...], width: int, batch_norm: bool
) -> nn.Sequential:
    """Stages of convolutions 3x3(x3), each stage followed by a max pool 2x2(x2)."""
    layers: list[nn.Module] = []
    for count, multiple in zip(stages, WIDTHS, strict=True):
        for _ in range(count):
            layers.append(CONVOLUTION[dims](in_channels, width * multiple, 3, padding=1))
            layers += [BATCH_NORM[dims](width * multiple)] if batch_norm else []
            layers.append(nn.ReLU(inplace=True))
            in_channels = width * multiple
        layers.append(MAX_POOL[dims](2, 2))
    return nn.Sequential(*layers)


class VGGConfig(NetworkConfig, kind="vgg"):
    """Stages of small convolutions (Simonyan and Zisserman 2015), for images of at least 32 pixels an axis."""

    depth: Literal[11, 13, 16, 19] = 16
    """Layers with weights."""
    norm: Literal["none", "batch"] = "none"
    """Normalisation after each convolution; none as published, batch today."""
    width: PositiveInt = 64
    """Maps of the first stage; the others have 2, 4, 8 and 8 times as many."""
    hidden: PositiveInt = 4096
    """Units of either hidden fully connected layer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Probability with which such a unit is set to 0 in training."""

    def build(self, problem: Problem) -> nn.Module:
        """A VGG with one output for each class. Raises ConfigError where `problem` does not suit."""
        self.refuse_faults(problem)
        features = vgg_features(
            problem.dims,
            problem.num_channels,
            stages=STAGES[self.depth],
            width=self.width,
            batch_norm=self.norm == "batch",
        )
        maps = self.width * WIDTHS[-1]
        return VGG(problem.dims, maps, problem.num_outputs, features=features, hidden=self.hidden, dropout=self.dropout)

    def size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Which axes are too short for five poolings."""
        return [
            f"image axis {axis} is {length}, of which the fifth pooling leaves nothing: must be at least {SMALLEST}"
            for axis, length in enumerate(size)
            if length < SMALLEST
        ]

    @classmethod
    def tiny(cls) -> Self:
        """The shallowest one, two maps wide."""
        return cls(depth=11, width=2, hidden=8)
