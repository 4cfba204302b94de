"""Shades images smoothly, as coils of MRI scanners do."""

import numpy as np
import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor

from hilum.augment.base import Draws, Frame, IntensityAugment, Share
from hilum.augment.measures import lowest_and_highest
from hilum.augment.splines import MARGIN, spread


class BiasFieldConfig(IntensityAugment, kind="bias_field"):
    """A smooth field that multiplies the intensities above each channel's smallest value."""

    strength: NonNegativeFloat = 0.3
    """Largest logarithm of the field either way: 0.3 brightens or darkens by up to a third."""
    intervals: PositiveInt = 2
    """Distances between control points that fit along each axis: more make the field less smooth."""
    probability: Share = 0.3
    """Share of the samples that this step changes."""

    def draw(self, rng: np.random.Generator, frame: Frame) -> Draws:
        """The field's logarithm at its control points, shared by all channels."""
        shape = (1, *[self.intervals + MARGIN] * len(frame.shape))
        return {"logarithm": rng.uniform(-self.strength, self.strength, shape).astype(np.float32)}

    def apply(self, images: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Shaded images."""
        lowest, _ = lowest_and_highest(images)
        shape = tuple(images.shape[2:])
        fields = torch.stack([spread(logarithm, shape).exp_() for logarithm in draws["logarithm"]])
        return (images - lowest) * fields + lowest
