"""Accuracy."""

from collections.abc import Sequence

import numpy as np

from hilum.metrics.base import CohortMetric, Floats, Indices
from hilum.metrics.confusion import confusion, ratio


def accuracy(counts: Floats) -> Floats:
    """Share of the cases on the diagonal of the counts (R, C, C)."""
    return ratio(np.trace(counts, axis1=1, axis2=2), counts.sum(axis=(1, 2)))


class AccuracyMetric(CohortMetric, kind="accuracy"):
    """Share of the cases whose most likely class is the true one."""

    def weighted(
        self, truth: Indices, probabilities: Floats, *, classes: Sequence[str], weights: Floats
    ) -> dict[str, Floats]:
        """One value: `accuracy`."""
        return {self.column: accuracy(confusion(truth, probabilities, weights))}
