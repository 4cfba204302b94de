"""The U-Net: an encoder and a decoder joined by skip connections, for segmentation in 2D and 3D."""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, PositiveInt, ValidationInfo, field_validator
from torch import Tensor, nn

from hilum.layers.activations import Activation
from hilum.layers.blocks import BlockStyle, ConvolutionBlock, Surround, initialise_convolutions
from hilum.layers.dimensional import CONVOLUTION, TRANSPOSED_CONVOLUTION
from hilum.layers.norms import Norm
from hilum.networks.base import NetworkConfig
from hilum.networks.sizes import multiple_faults, single_voxel_faults
from hilum.problem import Problem

LEVELS_SUPERVISED = 4
"""Fewest levels of which one below the full resolution gives logits: the lowest two never do."""
Stride = PositiveInt | tuple[PositiveInt, PositiveInt] | tuple[PositiveInt, PositiveInt, PositiveInt]


@dataclass(frozen=True)
class Decoding:
    """What the decoder sees beside the level below, and which of its levels give logits in training."""

    skips: bool = True
    deep_supervision: bool = False


class UNet(nn.Module):
    """Logits (B, out_channels, *spatial) for images (B, in_channels, *spatial).

    Ronneberger et al. 2015 (doi:10.1007/978-3-319-24574-4_28), Cicek et al. 2016 (doi:10.1007/978-3-319-46723-8_49);
    with padded convolutions, strided convolutions down and normalisation, as Isensee et al. 2021
    (doi:10.1038/s41592-020-01008-z). Each axis of the image must be a multiple of the product of its strides.

    With deep supervision it gives a tuple in training: logits of the full resolution, then those of each coarser level
    of the decoder but the lowest. In evaluation it is the same network as without.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        channels: tuple[int, ...],
        strides: tuple[tuple[int, ...], ...],
        style: BlockStyle,
        decoding: Decoding,
    ) -> None:
        """Build one level for each of `channels`, top first, with `strides` between them (one fewer)."""
        super().__init__()
        self.skips = decoding.skips
        ones = (1,) * style.dims
        self.encoder = nn.ModuleList()
        for below, above, stride in zip(channels, (in_channels, *channels), (ones, *strides), strict=False):
            self.encoder.append(ConvolutionBlock(above, below, stride=stride, style=style))
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        transposed = TRANSPOSED_CONVOLUTION[style.dims]
        for above, below, stride in reversed(list(zip(channels, channels[1:], strides, strict=False))):
            self.up.append(transposed(below, above, stride, stride=stride, bias=False))  # type: ignore[arg-type]
            seen = 2 * above if decoding.skips else above
            self.decoder.append(ConvolutionBlock(seen, above, stride=ones, style=style))
        self.head = CONVOLUTION[style.dims](channels[0], out_channels, 1)
        initialise_convolutions(self)
        # Logits of about unit size. Much smaller ones (a spread of 0.01) keep the body from learning for as long as it
        # takes the head to grow, and the prediction stays background meanwhile.
        nn.init.kaiming_normal_(self.head.weight, nonlinearity="linear")
        # Last, so that all other weights are drawn as they are without.
        coarser = channels[1:-2] if decoding.deep_supervision else ()
        self.supervision = nn.ModuleList(CONVOLUTION[style.dims](width, out_channels, 1) for width in coarser)
        for weight in (parameter for parameter in self.supervision.parameters() if parameter.ndim > 1):
            nn.init.kaiming_normal_(weight, nonlinearity="linear")

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits (B, out_channels, *spatial) for images (B, in_channels, *spatial); a tuple in deep supervision."""
        features = images
        skips: list[Tensor] = []
        decoded: list[Tensor] = []
        for block in self.encoder:
            features = block(features)
            skips.append(features)
        skips.pop()
        for up, block in zip(self.up, self.decoder, strict=True):
            skip = (skips.pop(),) if self.skips else ()
            features = block(torch.cat((*skip, up(features)), dim=1))
            if self.training and self.supervision:
                decoded.append(features)
        logits: Tensor = self.head(features)
        if not decoded:
            return logits
        coarser = decoded[-2:0:-1]
        return (logits, *(head(level) for head, level in zip(self.supervision, coarser, strict=True)))


class UNetConfig(NetworkConfig, kind="unet"):
    """Encoder and decoder joined by skip connections (Ronneberger et al. 2015; Cicek et al. 2016)."""

    task: ClassVar[Literal["classification", "segmentation"]] = "segmentation"

    channels: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (16, 32, 64, 128)
    """Feature maps at each level, top first."""
    strides: tuple[Stride, ...] | None = None
    """Down-sampling between each level and the next, a number or one an axis, such as [[1, 2, 2], 2, 2] for scans whose
    first axis is coarse; 2 everywhere by default."""
    convolutions: PositiveInt = 2
    """Convolutions in each level, on the way down and on the way up."""
    residual: bool = False
    """Whether each level adds its input to its output."""
    norm: Norm = "instance"
    """Normalisation after each convolution: of each sample and channel, of the batch, of 8 groups of channels, of each
    sample over all channels (layer), or none."""
    activation: Activation = "leaky_relu"
    """Function after each normalisation."""
    padding: Surround = "zero"
    """What is put around the maps before each convolution: zeros, the border voxel again, or the image mirrored,
    without (reflect) or with the border voxel (symmetric)."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which a feature at the end of a level is set to 0 in training."""
    skips: bool = True
    """Whether each level of the decoder also sees the maps of the encoder of its own resolution. Without, fine detail
    has to pass through the lowest level: an autoencoder, which shows what the skip connections are for."""
    deep_supervision: bool = False
    """Whether coarser levels of the decoder, all but the lowest, learn to give logits too: the loss is the mean over
    the resolutions, each with half the weight of the finer one before it. Predictions take the finest alone."""

    @field_validator("skips")
    @classmethod
    def _refuse_without_levels(cls, received: bool, info: ValidationInfo) -> bool:
        if not received and len(info.data.get("channels", (0, 0))) == 1:
            raise ValueError("true, or several levels in channels: with one there is nothing to skip")
        return received

    @field_validator("deep_supervision")
    @classmethod
    def _refuse_without_effect(cls, received: bool, info: ValidationInfo) -> bool:
        levels = len(info.data.get("channels", (0,) * LEVELS_SUPERVISED))
        if received and levels < LEVELS_SUPERVISED:
            raise ValueError(f"false with {levels} levels in channels, or {LEVELS_SUPERVISED} levels and more")
        return received

    @property
    def gives_several(self) -> bool:
        """Whether training gives logits at several resolutions."""
        return self.deep_supervision

    def build(self, problem: Problem) -> nn.Module:
        """A UNet with one output channel for each class or region. Raises ConfigError where `problem` does not suit."""
        self.refuse_faults(problem)
        style = BlockStyle(
            problem.dims,
            self.convolutions,
            self.residual,
            self.norm,
            self.activation,
            dropout=self.dropout,
            padding=self.padding,
        )
        return UNet(
            problem.num_channels,
            problem.num_outputs,
            channels=self.channels,
            strides=self.steps(problem.dims),
            style=style,
            decoding=Decoding(self.skips, self.deep_supervision),
        )

    def steps(self, dims: int) -> tuple[tuple[int, ...], ...]:
        """The down-sampling between each level and the next, one number an axis."""
        strides = self.strides if self.strides is not None else (2,) * (len(self.channels) - 1)
        return tuple((stride,) * dims if isinstance(stride, int) else stride for stride in strides)

    def pool_factor(self, dims: int) -> tuple[int, ...]:
        """By how much each axis shrinks down to the lowest level; a patch must be a multiple of it."""
        return tuple(math.prod(step[axis] for step in self.steps(dims)) for axis in range(dims))

    def faults(self, problem: Problem) -> list[str]:
        """Why the network cannot answer `problem`."""
        faults = self._stride_faults(problem.dims)
        return faults or super().faults(problem)

    def size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Which axes of a patch of `size` cannot be pooled down to the lowest level, and the sizes nearest that can."""
        faults = self._stride_faults(len(size))
        if faults:
            return faults
        factors = self.pool_factor(len(size))
        faults = multiple_faults(size, factors)
        return faults or (single_voxel_faults(size, factors) if self.norm == "instance" else [])

    def _stride_faults(self, dims: int) -> list[str]:
        strides, expected = self.strides, len(self.channels) - 1
        if strides is None:
            return []
        if len(strides) != expected:
            return [f"strides: received {len(strides)}, expected {expected}, one fewer than the levels in channels"]
        return [
            f"strides: received {list(stride)} for level {level + 1}, expected {dims} numbers, one an axis"
            for level, stride in enumerate(strides)
            if not isinstance(stride, int) and len(stride) != dims
        ]

    @classmethod
    def tiny(cls) -> Self:
        """Three narrow levels."""
        return cls(channels=(4, 6, 8))
