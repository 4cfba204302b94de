"""Average precision, the area under the precision-recall curve."""

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hilum.metrics.base import Floats
from hilum.metrics.curves import ranking
from hilum.metrics.one_against_rest import AveragedOneAgainstRest


def average_precision(positive: npt.NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
    """Mean precision (R,) at the positive cases: the precision-recall curve in steps, not interpolated.

    Straight lines between the points of that curve would promise too much (Davis and Goadrich 2006). Positive (N,),
    scores (N,), weights (R, N). NaN without a positive case.
    """
    ranked = ranking(positive, scores, weights)
    precision = np.nan_to_num(ranked.precision[:, 1:])  # where no case counts, sensitivity does not grow either
    return (precision * np.diff(ranked.sensitivity, axis=1)).sum(axis=1)


class AveragePrecisionMetric(AveragedOneAgainstRest, kind="average_precision"):
    """Average precision: area under the precision-recall curve, in steps (Davis and Goadrich 2006)."""

    undefined: ClassVar[str] = "no case of the class"

    def of_class(self, positive: npt.NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
        """Between 0 and 1, by chance the prevalence; see `average_precision`."""
        return average_precision(positive, scores, weights)
