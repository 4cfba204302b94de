"""Which method comes first, and how much of that is the luck of the patients who were drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Place:
    """The rank of a method, the ranks that most samples of the patients give it, and the share in which it is first."""

    method: str
    rank: int
    low: int
    high: int
    first: float


@dataclass(frozen=True)
class Ranking:
    """The methods by a score, best first, and how alike the rankings of the resamples are to this one.

    `agreement` is the mean of Kendall's tau between each of them and this ranking, 1 where all are the same.
    """

    places: tuple[Place, ...]
    agreement: float


def ranking(names: Sequence[str], values: Floats, *, drawn: Floats, better: str, level: float) -> Ranking | None:
    """The ranking by values (K,) of the methods, with its stability over resamples (K, R) of the patients.

    Ranks are those of the mean score (Maier-Hein et al. 2018; Wiesenfarth et al. 2021); equal methods share the better
    rank. Resamples in which a method has no value are left out. None where a method has no value at all.
    """
    drawn = drawn[:, ~np.isnan(drawn).any(axis=0)]
    if np.isnan(values).any() or not drawn.shape[1]:
        return None
    sign = -1.0 if better == "higher" else 1.0
    ranks, resampled = _ranks(sign * values[:, None])[:, 0], _ranks(sign * drawn)
    tail = (1 - level) / 2
    low = np.quantile(resampled, tail, axis=1, method="inverted_cdf")
    high = np.quantile(resampled, 1 - tail, axis=1, method="inverted_cdf")
    first = (resampled == 1).mean(axis=1)
    places = [
        Place(name, int(ranks[index]), int(low[index]), int(high[index]), float(first[index]))
        for index, name in enumerate(names)
    ]
    return Ranking(tuple(sorted(places, key=lambda place: place.rank)), _agreement(ranks, resampled))


def _ranks(costs: Floats) -> Floats:
    """1 and one more for every method that is better (K, R), from costs (K, R)."""
    ranks: Floats = 1.0 + (costs[None, :, :] < costs[:, None, :]).sum(axis=1)
    return ranks


def _agreement(ranks: Floats, resampled: Floats) -> float:
    """The mean over the resamples of the share of pairs in the same order less that in the other (Kendall 1938)."""
    ahead, behind = np.triu_indices(len(ranks), k=1)
    order = np.sign(ranks[ahead] - ranks[behind])[:, None] * np.sign(resampled[ahead] - resampled[behind])
    return float(order.mean())
