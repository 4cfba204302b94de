"""The operating point that leaves a given share of the negative cases alone."""

import numpy as np

from hilum.evaluation.operating_points.base import ROUNDING, Floats, OperatingPointConfig, Share


class SpecificityPoint(OperatingPointConfig, kind="specificity"):
    """Highest sensitivity among the thresholds with at least this specificity, for ruling in."""

    at_least: Share = 0.95
    """The specificity to keep on the validation cases; of new ones it will be less half of the time."""

    def worth(self, sensitivity: Floats, specificity: Floats, prevalence: float) -> Floats:
        """The sensitivity where the specificity is reached."""
        del prevalence
        return np.where(specificity >= self.at_least - ROUNDING, sensitivity, -np.inf)
