"""Agreement beyond chance: Cohen's kappa, unweighted and quadratically weighted."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from hilum.metrics.base import CohortMetric, Floats, Indices
from hilum.metrics.confusion import confusion, ratio


def kappa(counts: Floats, disagreement: Floats) -> Floats:
    """1 - observed / expected disagreement (R,) of counts (R, C, C), each cell weighed by (C, C) (Cohen 1968)."""
    expected = counts.sum(axis=2)[:, :, None] * counts.sum(axis=1)[:, None, :]
    observed = (counts * disagreement).sum(axis=(1, 2)) * counts.sum(axis=(1, 2))
    return 1 - ratio(observed, (expected * disagreement).sum(axis=(1, 2)))


class KappaMetric(CohortMetric, kind="kappa"):
    """Cohen's kappa: agreement of truth and prediction beyond chance (Cohen 1960)."""

    undefined: ClassVar[str] = "truth and prediction have one class only, the same"

    def weighted(
        self, truth: Indices, probabilities: Floats, *, classes: Sequence[str], weights: Floats
    ) -> dict[str, Floats]:
        """One value: `kappa`."""
        differ = 1 - np.eye(len(classes))
        return {self.column: kappa(confusion(truth, probabilities, weights), differ)}


class QuadraticKappaMetric(CohortMetric, kind="quadratic_kappa"):
    """Quadratically weighted kappa: for grades, which have to be listed in their order (Cohen 1968)."""

    undefined: ClassVar[str] = KappaMetric.undefined

    def weighted(
        self, truth: Indices, probabilities: Floats, *, classes: Sequence[str], weights: Floats
    ) -> dict[str, Floats]:
        """One value: `quadratic_kappa`; the weight of a mistake grows with the square of its steps."""
        grade = np.arange(len(classes), dtype=np.float64)
        steps = (grade[:, None] - grade) ** 2
        return {self.column: kappa(confusion(truth, probabilities, weights), steps)}
