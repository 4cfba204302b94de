"""The mean absolute error of a regression or a restoration."""

from typing import ClassVar

import numpy as np

from hilum.metrics.base import Better, Floats, NumberMetric, Task
from hilum.metrics.confusion import ratio
from hilum.metrics.images import ImageMetric


class MaeMetric(NumberMetric, ImageMetric, kind="mae"):
    """Mean absolute error, in the unit of the number or the intensities of the image."""

    tasks: ClassVar[tuple[Task, ...]] = ("regression", "restoration")
    better: ClassVar[Better] = "lower"

    def weighted(self, truth: Floats, predicted: Floats, weights: Floats) -> dict[str, Floats]:
        """One value: `mae`."""
        return {self.column: ratio(weights @ np.abs(predicted - truth), weights.sum(axis=1))}

    def compare(self, truth: Floats, restored: Floats) -> float:
        """The mean over all voxels and channels."""
        return float(np.mean(np.abs(restored - truth)))
