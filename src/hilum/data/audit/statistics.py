"""Effect sizes and p values of the association between a class and something that should not matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.random import generator

SMALL_COUNT = 5.0
"""Where a fifth of the expected counts is lower, p comes from random tables (Cochran's rule)."""
RANDOM_TABLES = 5000


@dataclass(frozen=True)
class Association:
    """How strongly two columns go together: an effect from 0 to 1, how it is usually told, and the p value."""

    effect: float
    told: str
    p: float


def cramers_v(table: npt.NDArray[np.float64]) -> Association:
    """Cramer's V of a table of counts, corrected for bias (Bergsma 2013), with the p value of chi-square.

    Counts may be fractions (a patient with two images counts half for each). Where expected counts are small, p is the
    share of 5 000 random tables with the same margins that are at least as uneven.
    """
    from scipy.stats import chi2

    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    rows, columns = table.shape
    total = table.sum()
    if min(rows, columns) < 2 or total < 2:
        return Association(0.0, "Cramer's V 0.00", 1.0)
    expected = np.outer(table.sum(1), table.sum(0)) / total
    statistic = float(((table - expected) ** 2 / expected).sum())
    freedom = (rows - 1) * (columns - 1)
    phi = max(0.0, statistic / total - freedom / (total - 1))
    reduced = (size - (size - 1) ** 2 / (total - 1) for size in (rows, columns))
    effect = min(1.0, float(np.sqrt(phi / max(min(reduced) - 1, 1e-9))))
    told = f"Cramer's V {effect:.2f}"
    if np.mean(expected < SMALL_COUNT) > 0.2 or expected.min() < 1:
        return Association(effect, told, _exact_p(table, statistic))
    return Association(effect, told, float(chi2.sf(statistic, freedom)))


def _exact_p(table: npt.NDArray[np.float64], statistic: float) -> float:
    """The share of random tables with (rounded) equal margins whose chi-square is at least as large."""
    from scipy.stats import random_table

    whole = np.rint(table).astype(np.int64)
    whole = whole[whole.sum(1) > 0][:, whole.sum(0) > 0]
    if min(whole.shape, default=0) < 2:
        return 1.0
    drawn = random_table(whole.sum(1), whole.sum(0)).rvs(
        RANDOM_TABLES, random_state=generator(0, 0, 0, "random tables")
    )
    expected = np.outer(whole.sum(1), whole.sum(0)) / whole.sum()
    statistics = ((drawn - expected) ** 2 / expected).sum(axis=(1, 2))
    observed = min(statistic, float(((whole - expected) ** 2 / expected).sum()))
    return float((np.sum(statistics >= observed - 1e-9) + 1) / (RANDOM_TABLES + 1))


def rank_difference(groups: Sequence[npt.NDArray[np.float64]]) -> Association:
    """How different numbers are between groups; p by Kruskal and Wallis (1952).

    For two groups told as the AUC (at least one half), whose effect is 2 AUC - 1; for more as epsilon squared, whose
    effect is its square root.
    """
    from scipy.stats import kruskal, mannwhitneyu

    groups = [group for group in groups if len(group)]
    pooled = np.concatenate(groups) if groups else np.array([])
    if len(groups) < 2 or np.ptp(pooled) == 0:
        return Association(0.0, "no difference", 1.0)
    statistic, p = kruskal(*groups)
    if len(groups) == 2:
        below = float(mannwhitneyu(groups[0], groups[1]).statistic) / (len(groups[0]) * len(groups[1]))
        auc = max(below, 1 - below)
        return Association(2 * auc - 1, f"AUC {auc:.2f}", float(p))
    spare = max(1, len(pooled) - len(groups))  # with as many groups as values there is nothing to compare
    squared = max(0.0, (float(statistic) - len(groups) + 1) / spare)
    return Association(squared**0.5, f"epsilon squared {squared:.2f}", float(p))


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for their number (Holm 1979)."""
    order = np.argsort(p_values)
    count, corrected, highest = len(p_values), [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (count - rank) * p_values[int(index)]))
        corrected[int(index)] = highest
    return corrected
