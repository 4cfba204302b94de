"""Tests of a difference between two methods on the same patients: what would chance alone do?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hilum.evaluation.areas import covariance

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from hilum.evaluation.areas import Area

    Floats = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int64]

EXACT_PATIENTS = 200
"""Up to so many patients that differ, every way to give their differences signs is counted; a normal law beyond."""
DIGITS = 12
"""Differences that agree in so many digits are equal: sums in another order differ in the last ones."""


def flip_p(sizes: Indices, observed: int) -> float:
    """The chance that `sizes` (P,), each with a sign by a fair coin, add up to something as far from 0 as `observed`.

    Two-sided. Counted exactly, whatever the ties; for more than EXACT_PATIENTS by the normal law of the same variance.
    """
    sizes = np.abs(sizes[sizes != 0])
    if not sizes.size:
        return 1.0
    if sizes.size > EXACT_PATIENTS:
        from scipy.special import ndtr

        return float(2 * ndtr(-abs(observed) / np.sqrt((sizes.astype(np.float64) ** 2).sum())))
    chances = np.ones(1)  # of each sum of the sizes whose coin shows heads
    for size in sizes:
        grown = np.zeros(len(chances) + size)
        grown[: len(chances)] += chances / 2
        grown[size:] += chances / 2
        chances = grown
    sums = 2 * np.arange(len(chances)) - sizes.sum()
    return min(float(chances[np.abs(sums) >= abs(observed)].sum()), 1.0)


def signed_rank_p(differences: Floats) -> float:
    """Wilcoxon's signed-rank test of the patients' differences (P,) (Wilcoxon 1945).

    NaN and equal values are left out; ranks of ties are averaged, and the p-value is exact with them, see `flip_p`.
    """
    from scipy.stats import rankdata

    told = np.round(differences[~np.isnan(differences)], DIGITS)
    told = told[told != 0]
    doubled = np.rint(2 * rankdata(np.abs(told))).astype(np.int64) if told.size else np.zeros(0, dtype=np.int64)
    return flip_p(doubled, int((np.sign(told) * doubled).sum()))


def mcnemar_p(differences: Indices) -> float:
    """McNemar's test, exact, from how many more cases of each patient (P,) one method decides rightly than the other.

    With one case a patient it is the binomial test of the cases that differ (McNemar 1947); with several the sign of a
    patient's difference is what chance decides on, so that scans of one patient are not taken for several (compare
    Durkalski et al. 2003).
    """
    return flip_p(differences, int(differences.sum()))


def delong_p(areas: Sequence[Area], contrast: Floats) -> float | None:
    """The test of DeLong et al. (1988) that a contrast (K,) of areas under the ROC curve of the same patients is 0.

    Clustered by patient (Obuchowski 1997). None where a kind of cases comes from one patient alone.
    """
    from scipy.special import ndtr

    difference = float(contrast @ np.array([one.value for one in areas]))
    variance = float(contrast @ covariance(areas) @ contrast)
    if np.isnan(variance):
        return None
    if round(difference, DIGITS) == 0:
        return 1.0
    return float(2 * ndtr(-abs(difference) / np.sqrt(variance))) if variance > 0 else 0.0


def bootstrap_p(differences: Floats) -> float | None:
    """Twice the share of the resampled differences (R,) on the rarer side of 0, one resample added to each side.

    That is one less the level of the widest percentile interval without 0 (Efron and Tibshirani 1993, section 15.5).
    None where no resample has a value.
    """
    defined = np.round(differences[~np.isnan(differences)], DIGITS)
    if not defined.size:
        return None
    rarer = min(np.count_nonzero(defined <= 0), np.count_nonzero(defined >= 0))
    return min(2 * (rarer + 1) / (defined.size + 1), 1.0)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """The p-values corrected for how many there are (Holm 1979), in the same order; None stays None."""
    there = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for position, (p, index) in enumerate(there):
        highest = max(highest, min(1.0, p * (len(there) - position)))
        corrected[index] = highest
    return corrected
