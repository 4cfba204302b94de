"""Probabilities of a whole image from a network that sees one window at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
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
Place = tuple[int, Box, tuple[int, ...]]
"""One view of a window: the image's index in the stack, the voxels that it covers, and the dimensions mirrored."""


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


def gaussian_weights(window: Sequence[int]) -> Tensor:
    """Blending weights of a window, float32 of its shape: a Gaussian around its centre, at least `WEIGHT_FLOOR`."""
    weights = torch.ones(())
    for side in window:
        position = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
        weights = weights[..., None] * torch.exp(-0.5 * (position / (SIGMA_SHARE * side)) ** 2)
    return weights.clamp_(min=WEIGHT_FLOOR)


def predict_stack(
    network: Callable[[Tensor], Tensor],
    images: Tensor,
    *,
    window: Sequence[int],
    overlap: float,
    batch_size: int,
    flips: Sequence[tuple[int, ...]] = (),
) -> Tensor:
    """Probabilities (N, num_outputs, *spatial), float32, of images of one shape (N, C, *spatial), in 2D or 3D.

    `network` turns windows (B, C, *window) into probabilities (B, num_outputs, *window). Windows of all images fill
    batches together. Each of `flips` is a set of spatial axes: the mirrored window is predicted too, in the same
    batches, and the mean of the probabilities taken, which is that of an ensemble's members (Wang et al. 2019,
    doi:10.1016/j.neucom.2019.01.103), where nnU-Net takes the mean of the logits. Images smaller than the window are
    padded evenly on both sides with `PADDING`, and the result is cropped back.
    """
    padded, inner = pad_to(images, window)
    starts = [window_starts(size, side, overlap) for size, side in zip(padded.shape[2:], window, strict=True)]
    views = [(), *(tuple(axis - len(window) for axis in axes) for axes in flips)]
    boxes = list(_boxes(starts, window))
    places: list[Place] = list(itertools.product(range(len(images)), boxes, views))
    if len(boxes) == 1:  # one window an image: nothing to blend, and no rounding from weighting
        weights = torch.ones(tuple(window), device=images.device)
    else:
        weights = gaussian_weights(window).to(images.device)
    total: Tensor | None = None
    for first in range(0, len(places), batch_size):
        batch = places[first : first + batch_size]
        probabilities = network(torch.stack([padded[index][where].flip(axes) for index, where, axes in batch])).float()
        if total is None:
            total = probabilities.new_zeros((len(images), probabilities.shape[1], *padded.shape[2:]))
        for (index, where, axes), predicted in zip(batch, probabilities, strict=True):
            total[index][where].addcmul_(predicted.flip(axes), weights)
    assert total is not None, "an image has at least one window"
    total = total[inner]
    return total.div_(_weight_sum(weights, starts, padded.shape[2:])[inner] * len(views))


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


def _boxes(starts: Sequence[Sequence[int]], window: Sequence[int]) -> Iterator[Box]:
    """The voxels of each window, last axis fastest."""
    for corner in itertools.product(*starts):
        yield (..., *(slice(start, start + side) for start, side in zip(corner, window, strict=True)))


def _weight_sum(weights: Tensor, starts: Sequence[Sequence[int]], shape: Sequence[int]) -> Tensor:
    """How much weight each voxel of an image has received from all its windows, of the given shape."""
    total = weights.new_zeros(tuple(shape))
    for box in _boxes(starts, tuple(weights.shape)):
        total[box] += weights
    return total
