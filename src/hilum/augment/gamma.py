"""Bends the scale of intensities."""

import numpy as np
import torch
from torch import Tensor

from hilum.augment.base import Draws, Factors, Frame, IntensityAugment, Share, factor
from hilum.augment.measures import lowest_and_highest

SMALLEST = torch.finfo(torch.float32).tiny


class GammaConfig(IntensityAugment, kind="gamma"):
    """A power of the intensities between each channel's smallest and largest value, both of which stay."""

    exponent: Factors = (0.8, 1.25)
    """Exponents; below 1 brightens the middle, above 1 darkens it."""
    probability: Share = 0.3
    """Share of the samples that this step changes."""

    def draw(self, rng: np.random.Generator, frame: Frame) -> Draws:
        """The exponent of the sample."""
        del frame
        return {"exponent": np.array(factor(rng, self.exponent), dtype=np.float32)}

    def apply(self, images: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Images with bent intensities."""
        lowest, highest = lowest_and_highest(images)
        span = highest - lowest
        unit = (images - lowest) / span.clamp_min(SMALLEST)  # a constant channel becomes 0 here and stays as it is
        # Sample by sample: the last few values of a tensor pass another routine, which rounds powers differently.
        for sample, exponent in zip(unit, draws["exponent"], strict=True):
            sample.pow_(exponent)
        return unit.mul_(span).add_(lowest)
