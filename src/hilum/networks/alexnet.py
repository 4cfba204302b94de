"""AlexNet in 2D and 3D, with torchvision's names of weights."""

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from hilum.layers.dimensional import CONVOLUTION, GLOBAL_AVERAGE_POOL, MAX_POOL
from hilum.layers.window import Window, window_faults
from hilum.networks.base import NetworkConfig
from hilum.problem import Problem

GRID = 6
"""Voxels along each axis that the fully connected layers see, whatever the size of the image."""
CONVOLUTIONS = (Window(11, 4, 2), Window(5, 1, 2), Window(3, 1, 1), Window(3, 1, 1), Window(3, 1, 1))
WIDTHS = (1, 3, 6, 4, 4)
"""Maps of each convolution, as multiples of the first."""
POOLED = (1, 2, 5)
"""Convolutions that are followed by a pooling."""
POOL = Window(3, 2)


class AlexNet(nn.Module):
    """Logits (B, out_features) of images (B, in_channels, *spatial), after Krizhevsky 2014 (arXiv:1404.5997).

    The network of Krizhevsky et al. 2012 in one column and without normalisation of responses, as torchvision has it;
    in 2D with a width of 64 and 4096 units, the names and shapes of the weights are torchvision's. Maps are averaged to
    6 voxels an axis, so that images of other sizes pass.
    """

    def __init__(
        self, dims: int, in_channels: int, out_features: int, *, width: int, hidden: int, dropout: float
    ) -> None:
        """Build five convolutions, the first with `width` maps, and three fully connected layers of `hidden` units."""
        super().__init__()
        layers: list[nn.Module] = []
        for number, (window, multiple) in enumerate(zip(CONVOLUTIONS, WIDTHS, strict=True), start=1):
            maps = width * multiple
            layers += [
                CONVOLUTION[dims](in_channels, maps, window.kernel, window.stride, int(window.padding)),
                nn.ReLU(inplace=True),
            ]
            if number in POOLED:
                layers.append(MAX_POOL[dims](POOL.kernel, POOL.stride))
            in_channels = maps
        self.features = nn.Sequential(*layers)
        self.avgpool = GLOBAL_AVERAGE_POOL[dims](GRID)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(in_channels * GRID**dims, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, out_features),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, out_features)."""
        logits: Tensor = self.classifier(self.avgpool(self.features(images)).flatten(1))
        return logits


class AlexNetConfig(NetworkConfig, kind="alexnet"):
    """Five convolutions and three fully connected layers (Krizhevsky et al. 2012), for images of at least 63 pixels."""

    width: PositiveInt = 64
    """Maps of the first convolution; the others have 3, 6, 4 and 4 times as many."""
    hidden: PositiveInt = 4096
    """Units of either hidden fully connected layer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Probability with which what such a layer sees is set to 0 in training."""

    def build(self, problem: Problem) -> nn.Module:
        """An AlexNet with one output for each class. Raises ConfigError where `problem` does not suit."""
        self.refuse_faults(problem)
        return AlexNet(
            problem.dims,
            problem.num_channels,
            problem.num_outputs,
            width=self.width,
            hidden=self.hidden,
            dropout=self.dropout,
        )

    def size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Which axes are too short, and the layer that leaves nothing of them."""
        return window_faults(_windows(), size)

    @classmethod
    def tiny(cls) -> Self:
        """Two maps in the first convolution."""
        return cls(width=2, hidden=8)


def _windows() -> Iterator[tuple[str, Window]]:
    for number, window in enumerate(CONVOLUTIONS, start=1):
        yield f"convolution {number}", window
        if number in POOLED:
            yield f"the pooling after convolution {number}", POOL
