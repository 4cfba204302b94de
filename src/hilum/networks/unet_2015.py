"""The U-Net as it was published in 2015: unpadded convolutions, max pooling, no normalisation."""

from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from hilum.layers.dimensional import CONVOLUTION, MAX_POOL, TRANSPOSED_CONVOLUTION
from hilum.layers.padding import padded
from hilum.networks.base import NetworkConfig
from hilum.networks.sizes import multiple_faults
from hilum.problem import Problem

LOST = 4
"""Voxels that two unpadded convolutions 3x3(x3) take from an axis."""


class UNet2015(nn.Module):
    """Logits (B, out_channels, *spatial) for images (B, in_channels, *spatial), after Ronneberger et al. 2015.

    doi:10.1007/978-3-319-24574-4_28; its 3D sibling is that of Cicek et al. 2016 (doi:10.1007/978-3-319-46723-8_49),
    whose widths and norms differ. Unpadded, five levels answer for the inner 388 of 572 pixels. So that there is an
    answer for every voxel of an image of any size, the image is continued by mirroring as far as the network sees,
    as the paper does at the border of its images.
    """

    def __init__(
        self,
        dims: int,
        in_channels: int,
        out_channels: int,
        *,
        channels: tuple[int, ...],
        padding: Literal["valid", "zero"] = "valid",
        dropout: float = 0.5,
    ) -> None:
        """Build one level for each of `channels`, top first."""
        super().__init__()
        self.valid = padding == "valid"
        self.encoder = nn.ModuleList()
        for width in channels:
            self.encoder.append(_level(dims, in_channels, width, padding=0 if self.valid else 1))
            in_channels = width
        self.pool = MAX_POOL[dims](2)
        self.dropout = nn.Dropout(dropout)
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for above, below in zip(channels[-2::-1], channels[:0:-1], strict=True):
            self.up.append(TRANSPOSED_CONVOLUTION[dims](below, above, 2, stride=2))
            self.decoder.append(_level(dims, 2 * above, above, padding=0 if self.valid else 1))
        self.head = CONVOLUTION[dims](channels[0], out_channels, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, out_channels, *spatial)."""
        features = self._continued(images) if self.valid else images
        skips: list[Tensor] = []
        for level in self.encoder:
            features = level(self.pool(features) if skips else features)
            skips.append(features)
        features = self.dropout(skips.pop())
        for up, level in zip(self.up, self.decoder, strict=True):
            features = up(features)
            features = level(torch.cat((_inner(skips.pop(), features.shape[2:]), features), dim=1))
        for axis, length in enumerate(images.shape[2:], start=2):
            features = features.narrow(axis, 0, length)
        logits: Tensor = self.head(features)
        return logits

    def _continued(self, images: Tensor) -> Tensor:
        """The images with as much around them as unpadded convolutions take away, at a size that can be halved."""
        widths = []
        for length in images.shape[2:]:
            needed, answered = valid_sizes(length, levels=len(self.encoder))
            before = (needed - answered) // 2
            widths.append((before, needed - length - before))
        return padded(images, widths, "reflect")


def valid_sizes(length: int, *, levels: int) -> tuple[int, int]:
    """The shortest axis that so many levels can halve without padding and that is answered for `length` voxels.

    Gives that length and how many voxels are answered: 572 and 388 for any of 373 to 388 in five levels.
    """
    factor = 2 ** (levels - 1)
    lowest = -(-(length - LOST) // factor) + LOST
    return factor * (lowest + 2 * LOST) - LOST, factor * (lowest - LOST) + LOST


def _level(dims: int, in_channels: int, out_channels: int, *, padding: int) -> nn.Sequential:
    return nn.Sequential(
        CONVOLUTION[dims](in_channels, out_channels, 3, padding=padding),
        nn.ReLU(inplace=True),
        CONVOLUTION[dims](out_channels, out_channels, 3, padding=padding),
        nn.ReLU(inplace=True),
    )


def _inner(features: Tensor, size: torch.Size) -> Tensor:
    """The middle of the maps, of the given size."""
    for axis, length in enumerate(size, start=2):
        features = features.narrow(axis, (features.shape[axis] - length) // 2, length)
    return features


class UNet2015Config(NetworkConfig, kind="unet_2015"):
    """The U-Net as published (Ronneberger et al. 2015); `unet` is the one of today."""

    task: ClassVar[Literal["classification", "segmentation"]] = "segmentation"

    channels: Annotated[tuple[PositiveInt, ...], Field(min_length=2)] = (64, 128, 256, 512, 1024)
    """Feature maps at each level, top first."""
    padding: Literal["valid", "zero"] = "valid"
    """valid: none, as published, with the image continued by mirroring so that every voxel is answered; this costs much
    for small patches (five levels compute on 92 voxels more on every side). zero: zeros before each convolution."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Probability with which a feature of the lowest level is set to 0 in training."""

    def build(self, problem: Problem) -> nn.Module:
        """A UNet2015 with one output channel for each class or region. Raises ConfigError where it does not suit."""
        self.refuse_faults(problem)
        return UNet2015(
            problem.dims,
            problem.num_channels,
            problem.num_outputs,
            channels=self.channels,
            padding=self.padding,
            dropout=self.dropout,
        )

    def size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Which axes cannot be halved down to the lowest level; any can without padding."""
        if self.padding == "valid":
            return []
        return multiple_faults(size, (2 ** (len(self.channels) - 1),) * len(size))

    @classmethod
    def tiny(cls) -> Self:
        """Two narrow levels."""
        return cls(channels=(3, 4))
