"""The expected calibration error, in bins of equal width and in bins of equal size."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import PositiveInt

from hilum.metrics.base import Better, CohortMetric, Floats, Indices
from hilum.metrics.confusion import ratio

BINS = 15
"""As many as Guo et al. (2017) took."""


def ece(confidence: Floats, correct: Floats, *, weights: Floats, bins: int) -> Floats:
    """Mean (R,) of |accuracy - confidence| over bins of equal width, weighed by their cases (Naeini et al. 2015).

    Confidence and correct (N,), weights (R, N). A bin holds its upper edge, as in Guo et al. (2017).
    """
    edges = np.linspace(0, 1, bins + 1)
    number = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    gaps = np.zeros((len(confidence), bins))
    gaps[np.arange(len(confidence)), number] = correct - confidence
    return ratio(np.abs(weights @ gaps).sum(axis=1), weights.sum(axis=1))


def adaptive_ece(confidence: Floats, correct: Floats, *, weights: Floats, bins: int) -> Floats:
    """The same over bins that hold equally many cases (Nguyen and O'Connor 2015).

    A case at an edge is shared by both bins, and cases of equal confidence share theirs evenly, so that the order of
    the cases does not matter.
    """
    order = np.argsort(confidence, kind="stable")
    _, starts = np.unique(confidence[order], return_index=True)
    ranked = weights[:, order]
    sizes = np.add.reduceat(ranked, starts, axis=1)
    gaps = np.add.reduceat(ranked * (correct - confidence)[order], starts, axis=1)
    totals = sizes.sum(axis=1)
    shares = np.linspace(0, 1, bins + 1)
    errors = np.full(len(weights), np.nan)
    for row in np.flatnonzero(totals > 0):
        reached = np.interp(shares * totals[row], _cumulated(sizes[row]), _cumulated(gaps[row]))
        errors[row] = np.abs(np.diff(reached)).sum() / totals[row]
    return errors


class ConfidenceGap(CohortMetric):
    """How far the probability of the predicted class is from how often it is the true one."""

    better: ClassVar[Better] = "lower"
    bins: PositiveInt = BINS
    """Bins of confidence."""

    @property
    def column(self) -> str:
        """The kind with 15 bins, otherwise with their number: `ece_10`."""
        return self.kind if self.bins == BINS else f"{self.kind}_{self.bins}"


class EceMetric(ConfidenceGap, kind="ece"):
    """Expected calibration error of the predicted class, in bins of equal width (Naeini et al. 2015)."""

    def weighted(
        self, truth: Indices, probabilities: Floats, *, classes: Sequence[str], weights: Floats
    ) -> dict[str, Floats]:
        """One value, between 0 and 1; see `ece`."""
        confidence, correct = _predicted(truth, probabilities)
        return {self.column: ece(confidence, correct, weights=weights, bins=self.bins)}


class AdaptiveEceMetric(ConfidenceGap, kind="adaptive_ece"):
    """Adaptive calibration error of the predicted class, in bins of equally many cases (Nguyen and O'Connor 2015)."""

    def weighted(
        self, truth: Indices, probabilities: Floats, *, classes: Sequence[str], weights: Floats
    ) -> dict[str, Floats]:
        """One value, between 0 and 1; see `adaptive_ece`."""
        confidence, correct = _predicted(truth, probabilities)
        return {self.column: adaptive_ece(confidence, correct, weights=weights, bins=self.bins)}


def _predicted(truth: Indices, probabilities: Floats) -> tuple[Floats, Floats]:
    """The probability of each case's predicted class (N,), and whether that is the true one."""
    return probabilities.max(axis=1), (probabilities.argmax(axis=1) == truth).astype(np.float64)


def _cumulated(values: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(values)])
