"""What scores of a restoration share: one value a case, from the wanted and the restored image, channel by channel."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from pydantic import PositiveFloat

from hilum.metrics.base import Floats, MetricConfig, Task


class ImageMetric(MetricConfig):
    """A score of one restored image; its mean over the cases is the score of the cohort."""

    tasks: ClassVar[tuple[Task, ...]] = ("restoration",)

    def compare(self, truth: Floats, restored: Floats) -> float:
        """The value for images (C, I, J, K), the mean over their channels."""
        raise NotImplementedError


class RangedMetric(ImageMetric):
    """A score that depends on the range of intensities."""

    data_range: PositiveFloat | None = None
    """The range of intensities that errors are compared with, such as 255; null takes that of the wanted image, from
    its lowest to its highest value in each case and channel."""

    def of_channels(self, truth: Floats, restored: Floats, measure: Callable[[Floats, Floats, float], float]) -> float:
        """The mean over the channels of what `measure` gives; NaN where one is NaN."""
        values = [
            measure(true, found, self.data_range or float(true.max() - true.min()))
            for true, found in zip(truth, restored, strict=True)
        ]
        return float(np.mean(values))
