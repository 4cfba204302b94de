"""An image after all preparation steps, and how its intensities lead back to those of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hilum.prepare.base import PrepareConfig
from hilum.volume import Volume


@dataclass(frozen=True)
class Intensities:
    """Factor and offset (C,) by which prepared values stand for values of the file: prepared * factor + offset."""

    factors: Tensor
    offsets: Tensor

    def prepared(self, values: Tensor) -> Tensor:
        """Values (C, I, J, K) of a file as the preparation would have them."""
        return (values.float() - _by_channel(self.offsets)) / _by_channel(self.factors)

    def restored(self, values: Tensor) -> Tensor:
        """Prepared values (C, I, J, K) as the file would have them."""
        return values * _by_channel(self.factors) + _by_channel(self.offsets)


def prepared_with_intensities(image: Volume, steps: Sequence[PrepareConfig]) -> tuple[Volume, Intensities]:
    """The image (C, I, J, K) after the steps, float32, and the way back of its intensities.

    What a step clips does not come back.
    """
    channels = len(image.tensor)
    factors, offsets = torch.ones(channels), torch.zeros(channels)
    for step in steps:
        own = step.intensities(image)
        offsets, factors = offsets + factors * own[1], factors * own[0]
        image, _ = step.apply(image, None)
    return Volume(image.tensor.float(), image.grid), Intensities(factors, offsets)


def _by_channel(numbers: Tensor) -> Tensor:
    return numbers.view(-1, 1, 1, 1)
