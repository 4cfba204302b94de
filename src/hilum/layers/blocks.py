"""The stack of convolutions that one level of a segmentation network consists of, plain or residual."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from hilum.layers.activations import LEAKY_SLOPE, Activation, activation, widening
from hilum.layers.convolutions import Pad
from hilum.layers.dimensional import CONVOLUTION
from hilum.layers.norms import Norm, norm
from hilum.layers.window import Window

Surround = Literal["zero", "replicate", "reflect", "symmetric"]
"""What is put around maps before a convolution that keeps their size: see hilum.layers.padding."""

KERNEL = 3


@dataclass(frozen=True)
class BlockStyle:
    """What all levels of a network have in common."""

    dims: int
    convolutions: int = 2
    residual: bool = False
    norm: Norm = "instance"
    activation: Activation = "leaky_relu"
    dropout: float = 0.0
    padding: Surround = "zero"


class ConvolutionBlock(nn.Module):
    """Convolutions 3x3(x3), each followed by normalisation and activation; the first one may have a stride.

    A residual block (He et al. 2016, doi:10.1109/CVPR.2016.90) adds its input before the last activation, through a
    normalised 1x1(x1) convolution where the number of channels or the size changes.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: tuple[int, ...], style: BlockStyle) -> None:
        """Build the layers for inputs (B, in_channels, *spatial) with one stride an axis."""
        super().__init__()
        convolution = CONVOLUTION[style.dims]
        self.convolutions = nn.ModuleList()
        self.norms = nn.ModuleList()
        self.activations = nn.ModuleList()
        wide = out_channels * widening(style.activation)
        for position in range(style.convolutions):
            layer: nn.Module = convolution(
                in_channels if position == 0 else out_channels,
                wide,
                KERNEL,
                stride=stride if position == 0 else 1,  # type: ignore[arg-type]  # one an axis, 2 or 3
                padding=KERNEL // 2 if style.padding == "zero" else 0,
                bias=style.norm == "none",
            )
            if style.padding != "zero":
                layer = nn.Sequential(Pad(Window(KERNEL, padding=style.padding)), layer)
            self.convolutions.append(layer)
            self.norms.append(norm(style.norm, style.dims, channels=wide))
            self.activations.append(activation(style.activation))
        self.shortcut = _shortcut(in_channels, wide, stride=stride, style=style) if style.residual else None
        self.dropout = nn.Dropout(style.dropout) if style.dropout else None

    def forward(self, features: Tensor) -> Tensor:
        """Feature maps (B, out_channels, *spatial / stride)."""
        shortcut = None if self.shortcut is None else self.shortcut(features)
        last = len(self.convolutions) - 1
        for position, (convolution, normalise, activate) in enumerate(
            zip(self.convolutions, self.norms, self.activations, strict=True)
        ):
            features = normalise(convolution(features))
            if shortcut is not None and position == last:
                features = features + shortcut
            features = activate(features)
        return features if self.dropout is None else self.dropout(features)


def _shortcut(in_channels: int, out_channels: int, *, stride: tuple[int, ...], style: BlockStyle) -> nn.Module:
    if in_channels == out_channels and all(step == 1 for step in stride):
        return nn.Identity()
    convolution = CONVOLUTION[style.dims]
    return nn.Sequential(
        convolution(in_channels, out_channels, 1, stride=stride, bias=style.norm == "none"),  # type: ignore[arg-type]
        norm(style.norm, style.dims, channels=out_channels),
    )


def initialise_convolutions(module: nn.Module) -> None:
    """Draw the weights of every convolution as He et al. 2015 (doi:10.1109/ICCV.2015.123) do for leaky rectifiers."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            nn.init.kaiming_normal_(layer.weight, a=LEAKY_SLOPE, nonlinearity="leaky_relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
