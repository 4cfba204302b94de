"""The agreement of predicted and true numbers after Bland and Altman."""

from typing import ClassVar

import numpy as np

from hilum.metrics.base import Floats, NumberMetric
from hilum.metrics.confusion import ratio
from hilum.metrics.moments import centred_products

WIDTH = 1.96
"""Standard deviations from the bias to a limit, between which 95 % of differences lie where these are normal."""


class BlandAltmanMetric(NumberMetric, kind="bland_altman"):
    """Bias and limits of agreement of Bland and Altman (1986, doi:10.1016/S0140-6736(86)90837-8), in its unit.

    The mean of prediction less truth, and 1.96 standard deviations of it to both sides.
    """

    ranks: ClassVar[bool] = False
    undefined: ClassVar[str] = "limits need two cases"

    def weighted(self, truth: Floats, predicted: Floats, weights: Floats) -> dict[str, Floats]:
        """`bland_altman`, the bias; `bland_altman_low` and `bland_altman_high`, the limits of agreement."""
        difference, count = predicted - truth, weights.sum(axis=1)
        bias = ratio(weights @ difference, count)
        std = np.sqrt(ratio(np.maximum(centred_products(difference, difference, weights), 0), count - 1))
        low, high = bias - WIDTH * std, bias + WIDTH * std
        return {self.column: bias, f"{self.column}_low": low, f"{self.column}_high": high}
