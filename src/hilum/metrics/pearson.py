"""The correlation of predicted and true numbers."""

from typing import ClassVar

import numpy as np

from hilum.metrics.base import Floats, NumberMetric
from hilum.metrics.confusion import ratio
from hilum.metrics.moments import centred_products


class PearsonMetric(NumberMetric, kind="pearson"):
    """Pearson's correlation: 1 also where predictions are wrong by a factor or an offset, so never to be read alone."""

    in_unit: ClassVar[bool] = False
    undefined: ClassVar[str] = "all true or all predicted numbers are equal"

    def weighted(self, truth: Floats, predicted: Floats, weights: Floats) -> dict[str, Floats]:
        """One value: `pearson`, between -1 and 1."""
        both = centred_products(truth, predicted, weights)
        spread = centred_products(truth, truth, weights) * centred_products(predicted, predicted, weights)
        return {self.column: np.clip(ratio(both, np.sqrt(spread)), -1, 1)}
