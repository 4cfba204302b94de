"""The interval of a proportion of cases, clustered by patient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


def wilson(hits: float, trials: float, *, level: float) -> tuple[float, float]:
    """The score interval of a proportion of independent cases (Wilson 1927)."""
    from scipy.special import ndtri

    width = float(ndtri((1 + level) / 2))
    share, extra = hits / trials, width**2 / trials
    middle = (share + extra / 2) / (1 + extra)
    half = width / (1 + extra) * float(np.sqrt(share * (1 - share) / trials + extra / (4 * trials)))
    # Rounding aside, nothing lies below a share of 0 or above one of 1.
    return max(middle - half, 0.0) if hits > 0 else 0.0, min(middle + half, 1.0) if hits < trials else 1.0


def clustered_wilson(hits: Floats, trials: Floats, *, level: float) -> tuple[float, float] | None:
    """The score interval of a proportion from each patient's hits and trials (P,).

    Wilson's interval with as many cases as they are worth: their number over the design effect, the variance between
    patients over that of independent cases (Rao and Scott 1992), never more than there are. A proportion of 0 or 1,
    from which no such effect can be told, counts patients. None without a trial.
    """
    there = trials > 0
    hits, trials = hits[there], trials[there]
    total, patients = float(trials.sum()), trials.size
    if not patients:
        return None
    share = float(hits.sum()) / total
    worth = float(patients)
    if 0 < share < 1 and patients > 1:
        between = patients / (patients - 1) * float(((hits - share * trials) ** 2).sum()) / total**2
        alone = share * (1 - share) / (total - 1)
        worth = total * min(alone / between, 1.0) if between > 0 else total
    return wilson(share * worth, worth, level=level)
