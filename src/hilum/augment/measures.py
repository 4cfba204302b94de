"""Each channel's own range, mean and spread, by which intensity steps measure their strength."""

from __future__ import annotations

import torch
from torch import Tensor


def mean_and_std(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, (B, C, 1, ...) for images (B, C, *spatial).

    Sample by sample: a sum over the whole batch may round differently with other batch mates.
    """
    pairs = [torch.std_mean(image.flatten(1), dim=1, correction=0) for image in images]
    std, mean = (torch.stack(values) for values in zip(*pairs, strict=True))
    return fit(mean, images), fit(std, images)


def lowest_and_highest(images: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest and largest value of each channel, (B, C, 1, ...) for images (B, C, *spatial)."""
    lowest, highest = torch.aminmax(images.flatten(2), dim=2)
    return fit(lowest, images), fit(highest, images)


def fit(values: Tensor, images: Tensor) -> Tensor:
    """Values (B,) or (B, C) with as many dimensions as `images`."""
    return values.view(*values.shape, *[1] * (images.ndim - values.ndim))
