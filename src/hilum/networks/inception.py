"""GoogLeNet in 2D and 3D: parallel filters of several sizes, with torchvision's names of weights."""

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple, Self

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from hilum.layers.dimensional import BATCH_NORM, CONVOLUTION, GLOBAL_AVERAGE_POOL, MAX_POOL
from hilum.layers.window import Window, window_faults
from hilum.networks.base import NetworkConfig
from hilum.problem import Problem

BASE = 64
"""Maps of the first convolution as published; other widths are shares of it."""
EPSILON = 1e-3
"""What batch norm adds to a variance."""


class Branches(NamedTuple):
    """Maps of the parallel branches of a block: 1x1; 1x1 then 3x3; 1x1 then 5x5; a max pool then 1x1."""

    one: int
    reduce3: int
    three: int
    reduce5: int
    five: int
    pool: int

    @property
    def total(self) -> int:
        """Maps that come out."""
        return self.one + self.three + self.five + self.pool

    def narrowed(self, width: int) -> "Branches":
        """The same shares of another width, at least one map each."""
        return Branches(*(max(1, maps * width // BASE) for maps in self))


BLOCKS: dict[str, Branches] = {
    "3a": Branches(64, 96, 128, 16, 32, 32),
    "3b": Branches(128, 128, 192, 32, 96, 64),
    "4a": Branches(192, 96, 208, 16, 48, 64),
    "4b": Branches(160, 112, 224, 24, 64, 64),
    "4c": Branches(128, 128, 256, 24, 64, 64),
    "4d": Branches(112, 144, 288, 32, 64, 64),
    "4e": Branches(256, 160, 320, 32, 128, 128),
    "5a": Branches(256, 160, 320, 32, 128, 128),
    "5b": Branches(384, 192, 384, 48, 128, 128),
}
"""The blocks by their published names (table 1)."""
POOLINGS = (Window(3, 2, ceil=True), Window(3, 2, ceil=True), Window(3, 2, ceil=True), Window(2, 2, ceil=True))
"""In the stem twice, then after the blocks 3 and the blocks 4."""
ORDER = (
    *("conv1", "maxpool1", "conv2", "conv3", "maxpool2"),
    *(f"inception{name}" for name in ("3a", "3b")),
    "maxpool3",
    *(f"inception{name}" for name in ("4a", "4b", "4c", "4d", "4e")),
    "maxpool4",
    *(f"inception{name}" for name in ("5a", "5b")),
)
"""The parts, first to last."""


class Convolution(nn.Module):
    """A convolution without bias, batch norm and ReLU."""

    def __init__(self, dims: int, in_channels: int, out_channels: int, *, kernel: int, stride: int = 1) -> None:
        """Build it, padded by half a kernel."""
        super().__init__()
        self.conv = CONVOLUTION[dims](in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
        self.bn = BATCH_NORM[dims](out_channels, eps=EPSILON)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, out_channels, *spatial / stride)."""
        activated: Tensor = self.relu(self.bn(self.conv(features)))
        return activated


class Inception(nn.Module):
    """Filters of several sizes side by side, whose maps are put on top of each other."""

    def __init__(self, dims: int, in_channels: int, *, maps: Branches, largest: int) -> None:
        """Build the four branches; `largest` is the kernel of the third."""
        super().__init__()
        self.branch1 = Convolution(dims, in_channels, maps.one, kernel=1)
        self.branch2 = nn.Sequential(
            Convolution(dims, in_channels, maps.reduce3, kernel=1),
            Convolution(dims, maps.reduce3, maps.three, kernel=3),
        )
        self.branch3 = nn.Sequential(
            Convolution(dims, in_channels, maps.reduce5, kernel=1),
            Convolution(dims, maps.reduce5, maps.five, kernel=largest),
        )
        self.branch4 = nn.Sequential(
            MAX_POOL[dims](3, stride=1, padding=1), Convolution(dims, in_channels, maps.pool, kernel=1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, maps of all branches, *spatial)."""
        return torch.cat([branch(features) for branch in self.children()], dim=1)


class GoogLeNet(nn.Module):
    """Logits (B, out_features) of images (B, in_channels, *spatial), after Szegedy et al. 2015.

    doi:10.1109/CVPR.2015.7298594, with batch norm and without the two auxiliary classifiers. In 2D with a width of 64
    and 3 as the largest kernel, the names and shapes of the weights are torchvision's, which has 3x3 in place of 5x5.
    """

    def __init__(
        self, dims: int, in_channels: int, out_features: int, *, width: int, largest: int, dropout: float
    ) -> None:
        """Build the stem, nine blocks and the head."""
        super().__init__()
        self.conv1 = Convolution(dims, in_channels, width, kernel=7, stride=2)
        for number, window in enumerate(POOLINGS, start=1):
            self.add_module(f"maxpool{number}", MAX_POOL[dims](window.kernel, window.stride, ceil_mode=window.ceil))
        self.conv2 = Convolution(dims, width, width, kernel=1)
        self.conv3 = Convolution(dims, width, 3 * width, kernel=3)
        channels = 3 * width
        for name, published in BLOCKS.items():
            maps = published.narrowed(width)
            self.add_module(f"inception{name}", Inception(dims, channels, maps=maps, largest=largest))
            channels = maps.total
        self.avgpool = GLOBAL_AVERAGE_POOL[dims](1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, out_features)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, out_features)."""
        features = images
        for name in ORDER:
            features = self.get_submodule(name)(features)
        logits: Tensor = self.fc(self.dropout(self.avgpool(features).flatten(1)))
        return logits


class InceptionConfig(NetworkConfig, kind="inception"):
    """GoogLeNet (Szegedy et al. 2015): parallel filters of several sizes; for images of at least 15 pixels an axis."""

    width: PositiveInt = BASE
    """Maps of the first convolution; all others have their published share of it."""
    largest_kernel: Literal[3, 5] = 5
    """Kernel of the third branch of each block: 5 as published, 3 as torchvision's weights have it."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """Probability with which a feature before the last layer is set to 0 in training."""

    def build(self, problem: Problem) -> nn.Module:
        """A GoogLeNet with one output for each class. Raises ConfigError where `problem` does not suit."""
        self.refuse_faults(problem)
        return GoogLeNet(
            problem.dims,
            problem.num_channels,
            problem.num_outputs,
            width=self.width,
            largest=self.largest_kernel,
            dropout=self.dropout,
        )

    def size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Which axes are too short, and the layer that leaves nothing of them."""
        return window_faults(_windows(), size)

    @classmethod
    def tiny(cls) -> Self:
        """Two maps in the first convolution."""
        return cls(width=2)


def _windows() -> Iterator[tuple[str, Window]]:
    yield "the first convolution", Window(7, 2, 3)
    for number, window in enumerate(POOLINGS, start=1):
        yield f"pooling {number}", window
