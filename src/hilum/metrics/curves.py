"""The curves of a ranking, ROC and precision-recall, over many weightings of the same cases at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hilum.metrics.confusion import ratio

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """Cases at or above each threshold: positive and negative ones (R, T + 1), from none to all of them.

    `thresholds` (T,) are the distinct scores, highest first; the first column lies above all of them.
    """

    thresholds: Floats
    tp: Floats
    fp: Floats

    @property
    def sensitivity(self) -> Floats:
        """Share of the positive cases (R, T + 1); NaN where there is none."""
        return ratio(self.tp, self.tp[:, -1:])

    @property
    def false_positive_rate(self) -> Floats:
        """Share of the negative cases (R, T + 1); NaN where there is none."""
        return ratio(self.fp, self.fp[:, -1:])

    @property
    def precision(self) -> Floats:
        """Share of positive cases at or above each threshold (R, T + 1); NaN where there is no case."""
        return ratio(self.tp, self.tp + self.fp)


def ranking(positive: npt.NDArray[np.bool_], scores: Floats, weights: Floats) -> Ranking:
    """The cases ranked by score: positive (N,), scores (N,), weights (R, N). Equal scores share a threshold."""
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    last = np.append(np.flatnonzero(np.diff(descending)), len(descending) - 1)
    ranked = weights[:, order]
    flags = positive[order]
    tp, fp = (np.cumsum(ranked * kept, axis=1)[:, last] for kept in (flags, ~flags))
    none = np.zeros((len(weights), 1))
    return Ranking(descending[last], np.concatenate([none, tp], axis=1), np.concatenate([none, fp], axis=1))
