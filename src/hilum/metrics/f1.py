"""The F1 score."""

from collections.abc import Sequence

import numpy as np

from hilum.metrics.base import CohortMetric, Floats, Indices
from hilum.metrics.confusion import confusion, mean_of_defined, ratio


def f1(counts: Floats) -> Floats:
    """2 TP / (2 TP + FP + FN) of each class (R, C) from counts (R, C, C); NaN for one neither true nor predicted."""
    correct = np.diagonal(counts, axis1=1, axis2=2)
    return ratio(2 * correct, counts.sum(axis=1) + counts.sum(axis=2))


class F1Metric(CohortMetric, kind="f1"):
    """F1 score: the mean over the classes (macro), and of each class alone (van Rijsbergen 1979)."""

    def weighted(
        self, truth: Indices, probabilities: Floats, *, classes: Sequence[str], weights: Floats
    ) -> dict[str, Floats]:
        """`f1`, macro over the classes that occur, and `f1_<class>`; of two classes the second has the binary F1."""
        values = f1(confusion(truth, probabilities, weights))
        return {self.column: mean_of_defined(values)} | self.of_classes(values, classes)
