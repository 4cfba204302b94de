"""The probability that at least one of a patient's cases is positive."""

import numpy as np

from hilum.evaluation.aggregates.base import AggregateConfig, Floats


class NoisyOrAggregate(AggregateConfig, kind="noisy_or"):
    """1 - (1 - p1) (1 - p2) ...: at least one case is positive, were they independent (Pearl 1988).

    It grows with the number of cases: calibrate, and compare patients with about as many of them.
    """

    def of_positive(self, probability: Floats) -> float:
        """1 - prod(1 - p) of (N,)."""
        with np.errstate(divide="ignore"):  # a certain case: log 0, and 1 - 0 comes out
            return float(-np.expm1(np.log1p(-probability.clip(0, 1)).sum()))
