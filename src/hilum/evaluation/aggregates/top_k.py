"""The mean over the most suspicious of a patient's cases."""

import numpy as np
from pydantic import PositiveInt

from hilum.evaluation.aggregates.base import AggregateConfig, Floats


class TopKAggregate(AggregateConfig, kind="top_k"):
    """The mean of the `k` highest probabilities of the positive class; of all where there are fewer cases."""

    k: PositiveInt = 3
    """How many of a patient's cases count."""

    def of_positive(self, probability: Floats) -> float:
        """The mean of the highest of (N,)."""
        return float(np.sort(probability)[-self.k :].mean())
