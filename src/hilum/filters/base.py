"""The root of all filters, and how a window slides over images."""

from typing import Literal

from torch import Tensor

from hilum.layers.padding import FILLINGS, padded
from hilum.registry import Component

Surround = Literal["zero", "constant", "replicate", "reflect", "symmetric"]
"""What is put around an image so that it keeps its size: zeros, a constant, the border voxel again, or the image
mirrored, without repeating the border voxel (reflect: 3 2 | 1 2 3) or with it (symmetric: 2 1 | 1 2 3)."""
Padding = Literal["valid", "zero", "constant", "replicate", "reflect", "symmetric"]
"""The same, or valid: nothing, so that the image loses the voxels whose window would reach beyond it."""


class FilterConfig(Component, family="filters"):
    """A small window that slides over each channel: what it sees becomes one voxel."""

    def widths(self, dims: int) -> tuple[tuple[int, int], ...]:
        """Voxels that the window sees before and after its voxel, along each of `dims` axes."""
        raise NotImplementedError

    def slide(self, images: Tensor) -> Tensor:
        """What becomes of images (B, C, *spatial) wherever the window fits in: each axis is shorter by its widths."""
        raise NotImplementedError

    def faults(self, dims: int) -> list[str]:
        """Why images with so many spatial axes cannot be filtered: one sentence each, none if they can."""
        del dims
        return []


def filtered(images: Tensor, by: FilterConfig, *, padding: Padding = "replicate", value: float = 0.0) -> Tensor:
    """Images (B, C, *spatial), filtered; of the same size, unless the padding is valid.

    Every number is computed from its own channel of its own image alone, bit for bit.
    """
    if padding != "valid":
        images = padded(images, by.widths(images.ndim - 2), FILLINGS[padding], value=value)
    return by.slide(images)
