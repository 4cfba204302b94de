"""Balanced accuracy."""

from collections.abc import Sequence

import numpy as np

from hilum.metrics.base import CohortMetric, Floats, Indices
from hilum.metrics.confusion import class_counts, confusion, mean_of_defined, ratio
from hilum.metrics.ratios import sensitivity, specificity


def balanced_accuracy(counts: Floats) -> Floats:
    """Mean recall over the classes that occur among the true ones of the counts (R, C, C) (Brodersen et al. 2010)."""
    correct = np.diagonal(counts, axis1=1, axis2=2)
    return mean_of_defined(ratio(correct, counts.sum(axis=2)))


class BalancedAccuracyMetric(CohortMetric, kind="balanced_accuracy"):
    """Mean of the classes' recalls: every class weighs the same, however rare (Brodersen et al. 2010)."""

    def weighted(
        self, truth: Indices, probabilities: Floats, *, classes: Sequence[str], weights: Floats
    ) -> dict[str, Floats]:
        """`balanced_accuracy`; for more than two classes also of each: the mean of its sensitivity and specificity."""
        counts = confusion(truth, probabilities, weights)
        values = {self.column: balanced_accuracy(counts)}
        if len(classes) == 2:  # either class has the same
            return values
        n = class_counts(counts)
        each = (sensitivity(n) + specificity(n)) / 2
        return values | self.of_classes(each, classes)
