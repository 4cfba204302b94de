"""The area under the receiver operating characteristic curve."""

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hilum.metrics.base import Floats
from hilum.metrics.confusion import ratio
from hilum.metrics.one_against_rest import AveragedOneAgainstRest


def auroc(positive: npt.NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
    """Probability (R,) that a positive case scores above a negative one, ties counting half (Hanley and McNeil 1982).

    Positive (N,), scores (N,), weights (R, N). NaN where one of the two kinds is missing.
    """
    order = np.argsort(scores, kind="stable")
    _, starts = np.unique(scores[order], return_index=True)
    ranked = weights[:, order]
    positives = np.add.reduceat(ranked * positive[order], starts, axis=1)
    negatives = np.add.reduceat(ranked * ~positive[order], starts, axis=1)
    below = np.cumsum(negatives, axis=1) - negatives / 2
    return ratio((positives * below).sum(axis=1), positives.sum(axis=1) * negatives.sum(axis=1))


class AurocMetric(AveragedOneAgainstRest, kind="auroc"):
    """Area under the ROC curve of the second of two classes, or of each against the rest (Hanley and McNeil 1982)."""

    undefined: ClassVar[str] = ""
    same_of_both: ClassVar[bool] = True

    def of_class(self, positive: npt.NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
        """Between 0 and 1; see `auroc`."""
        return auroc(positive, scores, weights)
