"""The coefficient of determination of a regression."""

from typing import ClassVar

from hilum.metrics.base import Floats, NumberMetric
from hilum.metrics.confusion import ratio
from hilum.metrics.moments import centred_products


class R2Metric(NumberMetric, kind="r2"):
    """R squared: 1 less the squared errors over those of predicting the mean of these cases; below 0 for worse."""

    in_unit: ClassVar[bool] = False
    undefined: ClassVar[str] = "all true numbers are equal"

    def weighted(self, truth: Floats, predicted: Floats, weights: Floats) -> dict[str, Floats]:
        """One value: `r2`."""
        return {self.column: 1 - ratio(weights @ (predicted - truth) ** 2, centred_products(truth, truth, weights))}
