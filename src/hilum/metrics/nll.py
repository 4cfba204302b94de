"""The negative log likelihood."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from hilum.metrics.base import Better, CohortMetric, Floats, Indices
from hilum.metrics.confusion import ratio

LEAST = float(np.finfo(np.float64).eps)
"""A probability below this counts as this: a single 0 for a true class would make the mean infinite."""


def nll(truth: Indices, probabilities: Floats) -> Floats:
    """-ln p (N,) of the probability that each case's true class had, with p at least LEAST."""
    given = probabilities[np.arange(len(truth)), truth]
    return -np.log(np.clip(given, LEAST, 1))


class NllMetric(CohortMetric, kind="nll"):
    """Negative log likelihood (log loss, cross entropy): mean of -ln p of the true class (Good 1952)."""

    better: ClassVar[Better] = "lower"

    def weighted(
        self, truth: Indices, probabilities: Floats, *, classes: Sequence[str], weights: Floats
    ) -> dict[str, Floats]:
        """One value: `nll`."""
        return {self.column: ratio(weights @ nll(truth, probabilities), weights.sum(axis=1))}
