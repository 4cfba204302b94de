"""Convolutions with any padding."""

from __future__ import annotations

from torch import Tensor, nn

from hilum.layers.dimensional import CONVOLUTION
from hilum.layers.padding import padded
from hilum.layers.window import Window


class Pad(nn.Module):
    """What a window needs around images (B, C, *spatial) of any size."""

    def __init__(self, window: Window, *, value: float = 0.0) -> None:
        """Take the window, and the value that the filling "constant" puts there."""
        super().__init__()
        self.window = window
        self.value = value

    def forward(self, features: Tensor) -> Tensor:
        """The images with the window's padding around them."""
        widths = [self.window.widths(length) for length in features.shape[2:]]
        return padded(features, widths, self.window.filling, value=self.value)

    def extra_repr(self) -> str:
        """What the module is printed with."""
        value = f", value={self.value:g}" if self.window.filling == "constant" else ""
        return f"{self.window.padding}{value}"


def convolution(
    dims: int, in_channels: int, out_channels: int, *, window: Window, bias: bool = True, value: float = 0.0
) -> nn.Module:
    """A convolution of (B, in_channels, *spatial) as `window` says: torch's own, after a Pad where it pads otherwise.

    It slides the kernel without turning it round (a cross-correlation), as all networks do: weights are learned either
    way.
    """
    zeros = window.zeros
    layer = CONVOLUTION[dims](
        in_channels, out_channels, window.kernel, window.stride, zeros or 0, dilation=window.dilation, bias=bias
    )
    return layer if zeros is not None else nn.Sequential(Pad(window, value=value), layer)
