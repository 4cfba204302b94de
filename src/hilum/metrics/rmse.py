"""The root mean squared error of a regression."""

from typing import ClassVar

import numpy as np

from hilum.metrics.base import Better, Floats, NumberMetric
from hilum.metrics.confusion import ratio


class RmseMetric(NumberMetric, kind="rmse"):
    """Root mean squared error, in the unit of the number: large errors weigh more than in the mean absolute one."""

    better: ClassVar[Better] = "lower"

    def weighted(self, truth: Floats, predicted: Floats, weights: Floats) -> dict[str, Floats]:
        """One value: `rmse`."""
        squares = (predicted - truth) ** 2
        return {self.column: np.sqrt(ratio(weights @ squares, weights.sum(axis=1)))}
