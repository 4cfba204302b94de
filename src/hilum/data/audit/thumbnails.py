"""Small square pictures of images and volumes, and the band of local detail in them that copies share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

SIDES_2D = (32, 64, 128)
"""Sides of the thumbnails of images: the largest that the image's own longer side reaches, at least the first."""
SIDE_3D = 32
"""Side of the thumbnails of volumes."""
TRUNCATE = 4.0
"""Gaussian kernels end after this many standard deviations."""
FLAT = 0.3
"""Local contrast below this share of the mean one is not raised to the level of the rest: it is mostly noise."""
TAIL = 0.001
"""Share of the darkest and of the brightest pixels that may be cut off when a thumbnail is stored in 8 bits."""


def thumbnail(image: Tensor) -> npt.NDArray[np.uint8]:
    """The image (I, J) or (I, J, K) squeezed into a square or a cube, antialiased, its grey values as 0 to 255."""
    side = SIDE_3D if image.ndim == 3 else max([s for s in SIDES_2D if s <= max(image.shape)], default=SIDES_2D[0])
    small = along(image, [shrinking(size, side) for size in image.shape])
    low, high = np.quantile(small.numpy(), (TAIL, 1 - TAIL))
    scaled = (small - float(low)) * (255 / max(float(high - low), 1e-12))
    return scaled.clamp(0, 255).round().to(torch.uint8).numpy()


def smaller(thumbnails: Tensor, side: int) -> Tensor:
    """Thumbnails (N, *square) as float32 with another side, antialiased where it is smaller."""
    if thumbnails.shape[-1] == side:
        return thumbnails.float()
    return along(thumbnails.float(), [shrinking(thumbnails.shape[-1], side)] * (thumbnails.ndim - 1))


def detail(thumbnails: Tensor, fine: float, coarse: float) -> Tensor:
    """Band of detail between two Gaussians (standard deviations in pixels) of thumbnails (N, *square) float32.

    Divided by its local strength, so that brightness, contrast and shading hardly matter.
    """
    side, axes = thumbnails.shape[-1], thumbnails.ndim - 1
    wide = [_gaussian(side, coarse)] * axes
    band = along(thumbnails, [_gaussian(side, fine)] * axes) - along(thumbnails, wide)
    strength = along(band.square(), wide).clamp(min=0).sqrt()
    mean = strength.flatten(1).mean(1).reshape(-1, *[1] * axes)
    return band / (strength + FLAT * mean + 1e-6)


def along(values: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """The values after a matrix (new, old) along each of their last axes."""
    for axis, matrix in enumerate(matrices, values.ndim - len(matrices)):
        values = (values.movedim(axis, -1) @ matrix.T).movedim(-1, axis)
    return values


@cache
def shrinking(old: int, new: int) -> Tensor:
    """The matrix (new, old) that resamples an axis linearly, corner to corner, antialiased by a wider triangle."""
    scale = max(old / new, 1.0)
    centres = (torch.arange(new, dtype=torch.float64) + 0.5) * old / new - 0.5
    weights = (1 - (torch.arange(old) - centres[:, None]).abs() / scale).clamp(min=0)
    return (weights / weights.sum(1, keepdim=True)).float()


@cache
def window(side: int, start: float, stop: float) -> Tensor:
    """The matrix (side, side) that stretches the part of an axis from `start` to `stop` (0 to 1) over all of it."""
    place = (start + (torch.arange(side, dtype=torch.float64) + 0.5) / side * (stop - start)) * side - 0.5
    weights = (1 - (torch.arange(side) - place.clamp(0, side - 1)[:, None]).abs()).clamp(min=0)
    return weights.float()


@cache
def _gaussian(side: int, sigma: float) -> Tensor:
    """The matrix (side, side) that smooths an axis; beyond its ends the last values go on."""
    reach = int(TRUNCATE * sigma + 0.5)
    offsets = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-offsets.double().square() / (2 * sigma**2))
    columns = (torch.arange(side)[:, None] + offsets).clamp(0, side - 1)
    matrix = torch.zeros(side, side, dtype=torch.float64)
    matrix.scatter_add_(1, columns, (kernel / kernel.sum()).expand(side, -1).contiguous())
    return matrix.float()
