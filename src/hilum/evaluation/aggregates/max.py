"""The highest probability among a patient's cases."""

from hilum.evaluation.aggregates.base import AggregateConfig, Floats


class MaxAggregate(AggregateConfig, kind="max"):
    """The highest probability of the positive class: one case is proof enough."""

    def of_positive(self, probability: Floats) -> float:
        """The highest of (N,)."""
        return float(probability.max())
