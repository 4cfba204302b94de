"""Changes brightness and contrast."""

import numpy as np
from pydantic import NonNegativeFloat
from torch import Tensor

from hilum.augment.base import Draws, Factors, Frame, IntensityAugment, Share, factor
from hilum.augment.measures import fit, mean_and_std


class BrightnessConfig(IntensityAugment, kind="brightness"):
    """A shift of all values (brightness) and a scale about the channel's mean (contrast)."""

    shift: NonNegativeFloat = 0.1
    """Largest shift either way, in standard deviations of the channel."""
    scale: Factors = (0.9, 1.1)
    """Factors of contrast; above 1 makes differences larger."""
    probability: Share = 0.5
    """Share of the samples that this step changes."""

    def draw(self, rng: np.random.Generator, frame: Frame) -> Draws:
        """A shift and a scale for each channel."""
        shifts = [rng.uniform(-self.shift, self.shift) for _ in range(frame.channels)]
        scales = [factor(rng, self.scale) for _ in range(frame.channels)]
        return {"shift": np.array(shifts, dtype=np.float32), "scale": np.array(scales, dtype=np.float32)}

    def apply(self, images: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Images of other brightness and contrast."""
        mean, std = mean_and_std(images)
        scale = fit(draws["scale"], images)
        return images * scale + (mean - mean * scale + fit(draws["shift"], images) * std)
