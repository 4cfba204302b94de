"""Windows over a volume: where they begin, how they are weighted, and what is put around an image that is smaller."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

SIGMA_SHARE = 0.125
"""Standard deviation of the blending Gaussian as a share of the window's side (Isensee et al. 2021)."""
WEIGHT_FLOOR = 1e-3
"""Smallest blending weight; the centre has about 1. What only a corner sees is not divided by nearly nothing."""
PADDING = 0.0
"""Value around an image smaller than its window: zero, the mean of a z-scored image and the black of a windowed one."""

Box = tuple[Any, ...]
"""Slices of the spatial axes after an ellipsis; Any, as their union is not what torch's annotations take."""


def window_starts(size: int, window: int, overlap: float) -> list[int]:
    """First voxels of the fewest windows that overlap by at least `overlap` along an axis, spread evenly over it.

    An axis no longer than the window has the one start 0. Starts are in voxels, the last one ends at `size`.
    """
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap is {overlap}; expected at least 0 and below 1")
    room = size - window
    if room <= 0:
        return [0]
    step = max(1, int(window * (1 - overlap)))
    count = math.ceil(room / step) + 1
    return [round(index * room / (count - 1)) for index in range(count)]


def all_starts(shape: Sequence[int], window: Sequence[int], overlap: float) -> list[tuple[int, ...]]:
    """First voxels of the windows along each axis of an image; before the image where it is smaller than a window.

    Such an image lies in the middle of its window.
    """
    return [
        tuple(start - max(side - size, 0) // 2 for start in window_starts(size, side, overlap))
        for size, side in zip(shape, window, strict=True)
    ]


@functools.lru_cache(maxsize=8)
def gaussian_weights(window: tuple[int, ...]) -> Tensor:
    """Blending weights of a window, float32 of its shape: a Gaussian around its centre, at least `WEIGHT_FLOOR`.

    They are computed once for a shape: the result must not be changed.
    """
    weights = torch.ones(())
    for side in window:
        position = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
        weights = weights[..., None] * torch.exp(-0.5 * (position / (SIGMA_SHARE * side)) ** 2)
    return weights.clamp_(min=WEIGHT_FLOOR)


def pad_to(images: Tensor, window: Sequence[int]) -> tuple[Tensor, Box]:
    """The images at least as large as the window, and where the original voxels lie in them."""
    sizes = images.shape[2:]
    before = [max(side - size, 0) // 2 for size, side in zip(sizes, window, strict=True)]
    after = [max(side - size, 0) - start for size, side, start in zip(sizes, window, before, strict=True)]
    inner = (..., *(slice(start, start + size) for start, size in zip(before, sizes, strict=True)))
    if not any(before) and not any(after):
        return images, inner
    # torch wants the last axis first
    sides = [amount for pair in zip(reversed(before), reversed(after), strict=True) for amount in pair]
    padded = torch.nn.functional.pad(images, sides, value=PADDING)
    padded[images.flatten(2)[..., 0].isnan()] = torch.nan  # a missing channel is missing around the image too
    return padded, inner
