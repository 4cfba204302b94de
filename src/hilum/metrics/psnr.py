"""The peak signal-to-noise ratio of a restored image."""

import math
from typing import ClassVar

import numpy as np

from hilum.metrics.base import Floats
from hilum.metrics.images import RangedMetric


def psnr(truth: Floats, restored: Floats, data_range: float) -> float:
    """10 log10(range^2 / mean squared error) in dB; NaN for images that are equal, and for a range of 0."""
    error = float(np.mean((truth - restored) ** 2))
    return 10 * math.log10(data_range**2 / error) if error > 0 and data_range > 0 else math.nan


class PsnrMetric(RangedMetric, kind="psnr"):
    """Peak signal-to-noise ratio in dB: the squared range of intensities over the mean squared error."""

    undefined: ClassVar[str] = "the restored image has no error at all, or the wanted one no contrast"

    def compare(self, truth: Floats, restored: Floats) -> float:
        """In dB, the mean over the channels."""
        return self.of_channels(truth, restored, psnr)
