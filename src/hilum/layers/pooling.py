"""Poolings by name: of neighbours, and of the whole image."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from hilum.layers.dimensional import AVERAGE_POOL, CONVOLUTION, MAX_POOL

Pooling = Literal["max", "min", "average", "l2", "strided"]
"""How neighbours become one: their largest, smallest or mean value, the root of the sum of their squares, or what a
convolution makes of them that is as large and moves as far (Springenberg et al. 2015, arXiv:1412.6806)."""
GlobalPooling = Literal["max", "min", "average", "l2"]
"""How a whole channel becomes one number."""

_AVERAGE = {2: functional.avg_pool2d, 3: functional.avg_pool3d}


class MinPool(nn.Module):
    """The smallest of neighbours: less the largest of what is less."""

    def __init__(self, dims: int, size: int, *, stride: int) -> None:
        """Build the max pool that does it."""
        super().__init__()
        self.pool = MAX_POOL[dims](size, stride)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C, *smaller)."""
        return -self.pool(-features)


class L2Pool(nn.Module):
    """The root of the sum of the squares of neighbours (Sermanet et al. 2012, arXiv:1204.3968).

    Where all of them are 0 the gradient is 0; that of torch's LPPool is NaN there.
    """

    def __init__(self, dims: int, size: int, *, stride: int) -> None:
        """Take the number of spatial axes, the length of the window along each, and by how much it moves."""
        super().__init__()
        self.dims = dims
        self.size = size
        self.stride = stride

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C, *smaller)."""
        squares = _AVERAGE[self.dims](features.square(), self.size, self.stride) * self.size**self.dims
        return _root(squares)

    def extra_repr(self) -> str:
        """What the module is printed with."""
        return f"{self.size}, stride={self.stride}"


class GlobalPool(nn.Module):
    """One number a channel, whatever the size of the image: features (B, C) of features (B, C, *spatial)."""

    def __init__(self, name: GlobalPooling) -> None:
        """Take the name of the pooling."""
        super().__init__()
        self.name = name

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C)."""
        flat = features.flatten(2)
        if self.name == "average":
            return flat.mean(2)
        if self.name == "l2":
            return _root(flat.square().sum(2))
        return flat.amax(2) if self.name == "max" else flat.amin(2)

    def extra_repr(self) -> str:
        """What the module is printed with."""
        return self.name


def pooling(name: Pooling, dims: int, *, channels: int, size: int, stride: int) -> nn.Module:
    """A new pooling of features (B, channels, *spatial) over windows of `size` along each axis, moved by `stride`."""
    if name == "strided":
        return CONVOLUTION[dims](channels, channels, size, stride)
    if name == "max":
        return MAX_POOL[dims](size, stride)
    if name == "average":
        return AVERAGE_POOL[dims](size, stride)
    return {"min": MinPool, "l2": L2Pool}[name](dims, size, stride=stride)


def _root(squares: Tensor) -> Tensor:
    return squares.clamp(min=torch.finfo(squares.dtype).tiny).sqrt()
