"""Temperature scaling: the one number that makes the probabilities of a trained network as right as they claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hilum.metrics.brier import BrierMetric
from hilum.metrics.ece import AdaptiveEceMetric, EceMetric
from hilum.metrics.nll import NllMetric

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int64]

LOWEST, HIGHEST = 0.05, 20.0
"""Limits of a temperature: beyond them probabilities are certain, or all alike, and no data would say so."""
CALIBRATION_METRICS = (NllMetric(), BrierMetric(), EceMetric(), AdaptiveEceMetric())


def fit_temperature(logits: Floats, truth: Indices) -> float | None:
    """The temperature of least negative log likelihood (Guo et al. 2017), from logits (N, C) and true classes (N,).

    The likelihood of 1 / T is convex, so that the root of its slope is its only minimum. None where it lies outside
    LOWEST to HIGHEST: no temperature is best where every case is predicted right, or where chance would do better.
    """
    from scipy.optimize import brentq

    shifted = logits - logits.max(axis=1, keepdims=True)
    own = shifted[np.arange(len(truth)), truth]

    def slope(log_inverse: float) -> float:
        scaled = np.exp(shifted * np.exp(log_inverse))
        return float(((scaled * shifted).sum(axis=1) / scaled.sum(axis=1) - own).mean())

    coldest, hottest = -np.log(LOWEST), -np.log(HIGHEST)
    if slope(coldest) <= 0 or slope(hottest) >= 0:
        return None
    return float(np.exp(-brentq(slope, hottest, coldest, xtol=1e-12)))


def why_unfitted(logits: Floats, truth: Indices) -> str:
    """In words: why `fit_temperature` gave none."""
    if (logits.argmax(axis=1) == truth).all():
        return "every validation case is predicted right, so that more certainty always looks better"
    return f"no temperature between {LOWEST:g} and {HIGHEST:g} is best"


def calibration_scores(truth: Indices, probabilities: Floats, classes: Sequence[str]) -> dict[str, float]:
    """nll, brier, ece and adaptive_ece of probabilities (N, C) and true classes (N,)."""
    return {
        name: value
        for metric in CALIBRATION_METRICS
        for name, value in metric.score(truth, probabilities, classes).items()
    }
