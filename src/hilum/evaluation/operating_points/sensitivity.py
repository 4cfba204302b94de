"""The operating point that finds a given share of the positive cases."""

import numpy as np

from hilum.evaluation.operating_points.base import ROUNDING, Floats, OperatingPointConfig, Share


class SensitivityPoint(OperatingPointConfig, kind="sensitivity"):
    """Highest specificity among the thresholds with at least this sensitivity, for ruling out."""

    at_least: Share = 0.95
    """The sensitivity to keep on the validation cases; of new ones it will be less half of the time."""

    def worth(self, sensitivity: Floats, specificity: Floats, prevalence: float) -> Floats:
        """The specificity where the sensitivity is reached."""
        del prevalence
        return np.where(sensitivity >= self.at_least - ROUNDING, specificity, -np.inf)
