"""The mean over a patient's cases."""

from typing import ClassVar

from hilum.evaluation.aggregates.base import AggregateConfig, Floats


class MeanAggregate(AggregateConfig, kind="mean"):
    """The mean of each class over the cases: what most of them say (soft voting)."""

    needs_positive: ClassVar[bool] = False

    def of_positive(self, probability: Floats) -> float:
        """The mean of (N,)."""
        return float(probability.mean())

    def combined(self, probabilities: Floats, positive: int) -> Floats:
        """The mean (C,) of (N, C)."""
        del positive
        return probabilities.mean(axis=0)
