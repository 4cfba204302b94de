"""The Brier score."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from hilum.metrics.base import Better, CohortMetric, Floats, Indices
from hilum.metrics.confusion import ratio


def brier(truth: Indices, probabilities: Floats) -> Floats:
    """Squared error (N,) of the probabilities (N, C), summed over the classes; of two classes, that of one."""
    num_classes = probabilities.shape[1]
    squares = ((probabilities - np.eye(num_classes)[truth]) ** 2).sum(axis=1)
    return squares / 2 if num_classes == 2 else squares


class BrierMetric(CohortMetric, kind="brier"):
    """Brier score: mean squared error of the probabilities, from 0 to 1, of more than two classes to 2 (Brier 1950)."""

    better: ClassVar[Better] = "lower"

    def weighted(
        self, truth: Indices, probabilities: Floats, *, classes: Sequence[str], weights: Floats
    ) -> dict[str, Floats]:
        """One value: `brier`."""
        return {self.column: ratio(weights @ brier(truth, probabilities), weights.sum(axis=1))}
