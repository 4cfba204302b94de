"""Sensitivity where specificity is fixed, and the other way round: real operating points of the ROC curve."""

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from hilum.metrics.base import Floats
from hilum.metrics.curves import ranking
from hilum.metrics.one_against_rest import OneAgainstRest

ROUNDING = 1e-9
"""A share this much below the one that was asked for still counts: 9 of 10 is 0.9."""
Share = Annotated[float, Field(gt=0, le=1)]


def best_reached(value: Floats, other: Floats, least: float) -> Floats:
    """The highest value (R,) among the points (R, T) whose other value is at least `least`; NaN without points."""
    reached = np.where(other >= least - ROUNDING, value, -np.inf).max(axis=1)
    return np.where(np.isfinite(reached) & ~np.isnan(other).any(axis=1), reached, np.nan)


class SensitivityAtSpecificityMetric(OneAgainstRest, kind="sensitivity_at_specificity"):
    """Highest sensitivity of a threshold with at least this specificity, not interpolated (Maier-Hein et al. 2024)."""

    specificity: Share = 0.9
    """The specificity that has to be kept."""

    @property
    def column(self) -> str:
        """With its specificity: `sensitivity_at_specificity_0.9`."""
        return f"{self.kind}_{self.specificity:g}"

    def of_class(self, positive: npt.NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
        """Between 0 and 1: a threshold above every score has specificity 1."""
        ranked = ranking(positive, scores, weights)
        return best_reached(ranked.sensitivity, 1 - ranked.false_positive_rate, self.specificity)


class SpecificityAtSensitivityMetric(OneAgainstRest, kind="specificity_at_sensitivity"):
    """Highest specificity of a threshold with at least this sensitivity, not interpolated (Maier-Hein et al. 2024)."""

    sensitivity: Share = 0.95
    """The sensitivity that has to be kept."""

    @property
    def column(self) -> str:
        """With its sensitivity: `specificity_at_sensitivity_0.95`."""
        return f"{self.kind}_{self.sensitivity:g}"

    def of_class(self, positive: npt.NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
        """Between 0 and 1: a threshold at the lowest score has sensitivity 1."""
        ranked = ranking(positive, scores, weights)
        return best_reached(1 - ranked.false_positive_rate, ranked.sensitivity, self.sensitivity)
