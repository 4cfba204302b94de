"""Adds noise."""

import numpy as np
from torch import Tensor

from hilum.augment.base import Draws, Frame, IntensityAugment, Share, Strengths
from hilum.augment.measures import mean_and_std


class NoiseConfig(IntensityAugment, kind="noise"):
    """Gaussian noise, independent in every voxel and channel."""

    std: Strengths = (0.0, 0.1)
    """Standard deviation of the noise, drawn evenly, in standard deviations of the channel."""
    probability: Share = 0.5
    """Share of the samples that this step changes."""

    def draw(self, rng: np.random.Generator, frame: Frame) -> Draws:
        """The noise of every voxel."""
        std = np.float32(rng.uniform(*self.std))
        noise = rng.standard_normal((frame.channels, *frame.shape), dtype=np.float32)
        noise *= std
        return {"noise": noise}

    def apply(self, images: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Noisy images."""
        _, std = mean_and_std(images)
        return images + draws["noise"] * std
