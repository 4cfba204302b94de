"""The variance of areas under the ROC curve, clustered by patient, and an interval that holds in small cohorts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Indices = npt.NDArray[np.int64]

TRUSTED_CASES = 100
"""With this many effective cases of the rarer kind, the variance in the data weighs as much as that of the model."""
FEWEST = 1.5
"""Effective cases of a kind, at least."""
EDGE = 1e-9


@dataclass(frozen=True)
class Area:
    """An area under the ROC curve, and how far each patient's positive and negative cases pull it (P,).

    The pulls are sums over the patient's cases of DeLong's components less the area, over the number of all cases of
    that kind. `cases` and `patients` count those that are positive and negative.
    """

    value: float
    positive: Floats
    negative: Floats
    cases: tuple[int, int]
    patients: tuple[int, int]


def area(positive: Flags, scores: Floats, owner: Indices, num_patients: int) -> Area | None:
    """The area of positive (N,) cases with scores (N,) against the others, by the number `owner` (N,) of the patient.

    Components of DeLong et al. (1988), found by sorting (Sun and Xu 2014), summed by patient (Obuchowski 1997). None
    where one of the two kinds is missing.
    """
    high, low = scores[positive], scores[~positive]
    if not high.size or not low.size:
        return None
    won, lost = _share_below(high, np.sort(low)), 1 - _share_below(low, np.sort(high))
    value = float(won.mean())
    ours, theirs = owner[positive], owner[~positive]
    return Area(
        value,
        np.bincount(ours, won - value, num_patients) / high.size,
        np.bincount(theirs, lost - value, num_patients) / low.size,
        (high.size, low.size),
        (np.unique(ours).size, np.unique(theirs).size),
    )


def covariance(areas: Sequence[Area]) -> Floats:
    """The covariance (K, K) of areas of the same patients (Obuchowski 1997, eq. 3 and 5).

    With one case a patient it is that of DeLong et al. (1988). NaN where a kind of cases comes from one patient alone.
    """
    up, down = (np.stack([getattr(one, kind) for one in areas]) for kind in ("positive", "negative"))
    num_patients = up.shape[1]
    few = np.array([[_unbiased(count) for count in one.patients] for one in areas])
    both = num_patients / max(num_patients - 1, 1) * (up @ down.T + down @ up.T)
    scaled: Floats = np.sqrt(few)[:, :, None]
    up, down = scaled[:, 0] * up, scaled[:, 1] * down
    total: Floats = up @ up.T + down @ down.T + both
    return total


def area_interval(positive: Flags, scores: Floats, owner: Indices, *, level: float) -> tuple[float, float] | None:
    """A score interval of the area under the ROC curve, clustered by patient.

    All areas whose distance to the one that was found is at most t standard errors, as they would be if that area were
    the true one (Newcombe 2006, method 5, with the variance of Hanley and McNeil 1982). Cases count as many as they are
    worth: their number over the design effect, which is Obuchowski's variance over DeLong's. The more there are, the
    more the model's variance gives way to Obuchowski's, by the geometric mean with the weight n / (n + TRUSTED_CASES).
    An area of 0 or 1 counts patients. t has two degrees of freedom less than there are patients. None where a kind of
    cases is missing or comes from one patient alone.
    """
    from scipy.special import stdtrit

    num_patients = int(owner.max()) + 1
    clustered = area(positive, scores, owner, num_patients)
    alone = area(positive, scores, np.arange(len(owner)), len(owner))
    if clustered is None or alone is None or min(clustered.patients) < 2:
        return None
    variance, plain = (max(float(covariance([one])[0, 0]), 0.0) for one in (clustered, alone))
    width = float(stdtrit(max(num_patients - 2, 1), (1 + level) / 2))
    sizes, excess = np.array(clustered.patients, dtype=np.float64), 1.0
    if variance > EDGE**2 and plain > EDGE**2:
        sizes = np.maximum(np.array(clustered.cases) * plain / variance, FEWEST)
        weight = sizes.min() / (sizes.min() + TRUSTED_CASES)
        excess = (variance / model_variance(clustered.value, sizes)) ** weight
    return _inverted(clustered.value, sizes, width=width * float(np.sqrt(excess)))


def model_variance(value: float, sizes: Floats) -> float:
    """The variance of an area by the `sizes` (2,) of both kinds (Hanley and McNeil 1982; Newcombe 2006, method 5)."""
    both = sizes.sum() / 2 - 1
    spread = value * (1 - value) * (1 + both * ((1 - value) / (2 - value) + value / (1 + value)))
    return float(spread / sizes.prod())


def _inverted(value: float, sizes: Floats, *, width: float) -> tuple[float, float]:
    """The lowest and the highest area that is not further from `value` than `width` of its standard errors."""
    from scipy.optimize import brentq

    def beyond(true: float) -> float:
        return (value - true) ** 2 - width**2 * model_variance(true, sizes)

    low = 0.0 if value <= EDGE else float(brentq(beyond, 0.0, min(value, 1 - EDGE)))
    high = 1.0 if value >= 1 - EDGE else float(brentq(beyond, max(value, EDGE), 1.0))
    return low, high


def _share_below(values: Floats, others: Floats) -> Floats:
    """The share of `others`, sorted, that lies below each value; equal ones count half."""
    below, upto = (np.searchsorted(others, values, side=side) for side in ("left", "right"))
    share: Floats = (below + upto) / (2 * others.size)
    return share


def _unbiased(count: int) -> float:
    return count / (count - 1) if count > 1 else float("nan")
