"""The area under the receiver operating characteristic curve."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hilum.metrics.base import CohortMetric, Floats, Indices
from hilum.metrics.confusion import mean_of_defined, ratio


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


class AurocMetric(CohortMetric, kind="auroc"):
    """Area under the ROC curve: of the second of two classes; otherwise one against the rest, each and their mean."""

    def weighted(
        self, truth: Indices, probabilities: Floats, *, classes: Sequence[str], weights: Floats
    ) -> dict[str, Floats]:
        """`auroc`; for more than two classes macro over those that can be ranked, and `auroc_<class>`."""
        if len(classes) == 2:
            return {self.column: auroc(truth == 1, probabilities[:, 1], weights)}
        each = [auroc(truth == index, probabilities[:, index], weights) for index in range(len(classes))]
        alone = {f"{self.column}_{name}": values for name, values in zip(classes, each, strict=True)}
        return {self.column: mean_of_defined(np.stack(each, axis=1)), **alone}
