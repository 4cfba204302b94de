"""The mean absolute error of a regression."""

from typing import ClassVar

import numpy as np

from hilum.metrics.base import Better, Floats, NumberMetric
from hilum.metrics.confusion import ratio


class MaeMetric(NumberMetric, kind="mae"):
    """Mean absolute error, in the unit of the number."""

    better: ClassVar[Better] = "lower"

    def weighted(self, truth: Floats, predicted: Floats, weights: Floats) -> dict[str, Floats]:
        """One value: `mae`."""
        return {self.column: ratio(weights @ np.abs(predicted - truth), weights.sum(axis=1))}
