"""The F-beta score."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import PositiveFloat

from hilum.metrics.base import CohortMetric, Floats, Indices
from hilum.metrics.confusion import ClassCounts, class_counts, confusion, ratio


def fbeta(n: ClassCounts, beta: float) -> Floats:
    """(1 + b^2) TP / ((1 + b^2) TP + b^2 FN + FP) of each class (van Rijsbergen 1979)."""
    square = beta**2
    return ratio((1 + square) * n.tp, (1 + square) * n.tp + square * n.fn + n.fp)


class FbetaMetric(CohortMetric, kind="fbeta"):
    """F-beta score: sensitivity counts beta times as much as precision (van Rijsbergen 1979)."""

    undefined: ClassVar[str] = "the class is neither true nor predicted"
    beta: PositiveFloat = 2.0
    """Above 1, missed cases weigh more; below 1, false alarms do."""

    @property
    def column(self) -> str:
        """With its beta: `fbeta_2`."""
        return f"fbeta_{self.beta:g}"

    def weighted(
        self, truth: Indices, probabilities: Floats, *, classes: Sequence[str], weights: Floats
    ) -> dict[str, Floats]:
        """The value of the second of two classes, otherwise the mean over the classes (macro); and that of each."""
        counts = class_counts(confusion(truth, probabilities, weights))
        return self.with_classes(fbeta(counts, self.beta), classes)
