"""The locally connected layer: a convolution whose kernel is another one at every place."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hilum.layers.window import Window


class LocallyConnected(nn.Module):
    """A layer of kernels that are not shared between places (LeCun 1989, Taigman et al. 2014).

    6 maps of 28 x 28 units that see 5 x 5 pixels each have 6 x 28 x 28 x (25 + 1) = 122 304 weights, where those of a
    convolution have 6 x (25 + 1) = 156. Takes images of one size only, without padding.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, size: Sequence[int], kernel: int, stride: int = 1
    ) -> None:
        """Build the kernels for images (B, in_channels, *size)."""
        super().__init__()
        window = Window(kernel, stride)
        self.kernel = kernel
        self.stride = stride
        self.out_size = tuple(window.length(length) for length in size)
        self.positions = math.prod(self.out_size)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, *(kernel,) * len(size), self.positions))
        self.bias = nn.Parameter(torch.empty(out_channels * self.positions))
        bound = 1 / math.sqrt(in_channels * kernel ** len(size))
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, out_channels, *out_size) for images (B, in_channels, *size)."""
        dims = images.dim() - 2
        for axis in range(2, images.dim()):
            images = images.unfold(axis, self.kernel, self.stride)
        # (B, C, *places, *kernel) -> (B, C, every place in the kernel, every position)
        patches = images.flatten(2 + dims).flatten(2, 1 + dims).transpose(2, 3)
        weight = self.weight.flatten(2, -2)
        features = torch.einsum("bckp,ockp->bop", patches, weight) + self.bias.view(-1, self.positions)
        return features.unflatten(2, self.out_size)

    def extra_repr(self) -> str:
        """What the module is printed with."""
        outputs, inputs = self.weight.shape[:2]
        return f"{inputs}, {outputs}, size={self.out_size}, kernel={self.kernel}, stride={self.stride}"
