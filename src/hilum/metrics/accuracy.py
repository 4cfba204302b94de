"""Accuracy."""

from collections.abc import Sequence

import numpy as np

from hilum.metrics.base import CohortMetric, Floats, Indices
from hilum.metrics.confusion import class_counts, confusion, ratio


def accuracy(counts: Floats) -> Floats:
    """Share of the cases on the diagonal of the counts (R, C, C)."""
    return ratio(np.trace(counts, axis1=1, axis2=2), counts.sum(axis=(1, 2)))


class AccuracyMetric(CohortMetric, kind="accuracy"):
    """Share of the cases whose predicted class is the true one; of several classes also of each (Fawcett 2006)."""

    def weighted(
        self, truth: Indices, probabilities: Floats, *, classes: Sequence[str], weights: Floats
    ) -> dict[str, Floats]:
        """`accuracy`; for more than two classes also `accuracy_<class>`, (TP + TN) / all, which flatters rare ones."""
        counts = confusion(truth, probabilities, weights)
        values = {self.column: accuracy(counts)}
        if len(classes) == 2:  # either class has the same
            return values
        n = class_counts(counts)
        each = ratio(n.tp + n.tn, n.tp + n.fp + n.fn + n.tn)
        return values | self.of_classes(each, classes)
