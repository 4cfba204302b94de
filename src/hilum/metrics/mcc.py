"""Matthews' correlation coefficient."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from hilum.metrics.base import CohortMetric, Floats, Indices
from hilum.metrics.confusion import ClassCounts, class_counts, confusion, ratio


def mcc(counts: Floats) -> Floats:
    """The correlation R_K (R,) of true and predicted classes, from counts (R, C, C) (Gorodkin 2004)."""
    size, correct = counts.sum(axis=(1, 2)), np.trace(counts, axis1=1, axis2=2)
    true, predicted = counts.sum(axis=2), counts.sum(axis=1)
    covariance = correct * size - (true * predicted).sum(axis=1)
    spread = (size**2 - (true**2).sum(axis=1)) * (size**2 - (predicted**2).sum(axis=1))
    return ratio(covariance, np.sqrt(np.maximum(spread, 0)))


def class_mcc(n: ClassCounts) -> Floats:
    """(TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN)) of each class (Matthews 1975)."""
    spread = (n.tp + n.fp) * (n.tp + n.fn) * (n.tn + n.fp) * (n.tn + n.fn)
    return ratio(n.tp * n.tn - n.fp * n.fn, np.sqrt(spread))


class MccMetric(CohortMetric, kind="mcc"):
    """Matthews' correlation coefficient (Matthews 1975), of many classes by Gorodkin (2004), and of each class."""

    undefined: ClassVar[str] = "the truth or the prediction has one class only"

    def weighted(
        self, truth: Indices, probabilities: Floats, *, classes: Sequence[str], weights: Floats
    ) -> dict[str, Floats]:
        """`mcc`; for more than two classes also `mcc_<class>`, each against the rest."""
        counts = confusion(truth, probabilities, weights)
        values = {self.column: mcc(counts)}
        if len(classes) == 2:  # either class against the other gives the same
            return values
        return values | self.of_classes(class_mcc(class_counts(counts)), classes)
