"""Confidence intervals by drawing patients, not cases: scans of one patient are not independent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from hilum.random import generator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from hilum.metrics.base import CohortMetric

    Floats = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int64]

Method = Literal["auto", "bca", "percentile"]

CHUNK_WEIGHTS = 2**21
"""Scores are resampled in chunks of this many weights, which bounds their memory."""
JACKKNIFE_GROUPS = 1000
"""More patients than this are left out in so many groups: the acceleration is the same, and takes less time."""


@dataclass(frozen=True)
class Bootstrap:
    """A bootstrap clustered by patient (Efron and Tibshirani 1993; Field and Welsh 2007).

    `percentile` takes the middle of the resampled values; `bca` moves the ends for bias and skewness (Efron 1987), and
    so does `auto` for all scores that have no closed form.
    """

    resamples: int = 2000
    level: float = 0.95
    seed: int = 0
    method: Method = "auto"

    def counts(self, num_patients: int) -> Floats:
        """How often each patient was drawn (R, P), drawing as many as there are, with replacement."""
        return np.concatenate(list(self._draws(num_patients, self.resamples)))

    def weightings(self, num_patients: int, at_once: int) -> Iterator[Floats]:
        """How often each patient counts, in pieces of at most `at_once` rows (..., P).

        The first row counts everybody once, the next R as often as they were drawn; the others, which only BCa needs,
        leave out one patient each, or one group of patients where there are more than JACKKNIFE_GROUPS.
        """
        yield np.ones((1, num_patients))
        yield from self._draws(num_patients, at_once)
        groups = 0 if self.method == "percentile" else min(num_patients, JACKKNIFE_GROUPS)
        group = np.arange(num_patients) % max(groups, 1)
        for first in range(0, groups, at_once):
            numbers = np.arange(first, min(first + at_once, groups))
            yield (group != numbers[:, None]).astype(np.float64)

    def drawn(self, values: Floats) -> Floats:
        """Of the values (1 + R + G, ...) of all weightings those of the resamples (R, ...)."""
        return values[1 : 1 + self.resamples]

    def interval(self, values: Floats) -> tuple[float, float] | None:
        """The interval of a score from its values (1 + R + G,) in all weightings; NaN ones are left out.

        None where the score itself or all of its resamples are undefined.
        """
        drawn = self.drawn(values)
        drawn = drawn[~np.isnan(drawn)]
        if np.isnan(values[0]) or not drawn.size:
            return None
        tails = np.array([(1 - self.level) / 2, (1 + self.level) / 2])
        if self.method != "percentile":
            tails = bca_tails(tails, float(values[0]), drawn=drawn, left_out=values[1 + self.resamples :])
        low, high = np.quantile(drawn, tails)
        return float(low), float(high)

    def _draws(self, num_patients: int, at_once: int) -> Iterator[Floats]:
        rng = generator(self.seed, 0, 0, "evaluation.bootstrap")
        share = np.full(num_patients, 1 / num_patients)
        for first in range(0, self.resamples, at_once):
            size = min(at_once, self.resamples - first)
            yield rng.multinomial(num_patients, share, size=size).astype(np.float64)


def bca_tails(tails: Floats, value: float, *, drawn: Floats, left_out: Floats) -> Floats:
    """The shares of the resampled values that BCa cuts at in place of `tails` (Efron 1987; DiCiccio and Efron 1996).

    From the value of the score, its values in the resamples (R,), and without one patient each (G,), of which NaN ones
    are left out. A bias beyond the outermost resample counts as half a resample.
    """
    from scipy.special import ndtr, ndtri

    half = 0.5 / drawn.size
    below = float(((drawn < value).mean() + (drawn <= value).mean()) / 2)
    bias = float(ndtri(min(max(below, half), 1 - half)))
    defined = left_out[~np.isnan(left_out)]
    pulls = defined.mean() - defined if defined.size else np.zeros(1)
    spread = float((pulls**2).sum()) ** 1.5
    acceleration = float((pulls**3).sum()) / (6 * spread) if spread > 0 else 0.0
    shifted = bias + ndtri(tails)
    moved: Floats = ndtr(bias + shifted / (1 - acceleration * shifted))
    return moved


def resampled_means(values: Floats, patients: Sequence[str], bootstrap: Bootstrap) -> Floats:
    """Means (1 + R + G, ...) over the cases of `values` (N, ...) in each weighting; NaN values are left out."""
    sums, sizes = (part.reshape(len(part), -1) for part in patient_sums(values, patients))
    pieces = []
    for weights in bootstrap.weightings(len(sums), max(1, CHUNK_WEIGHTS // len(sums))):
        total, size = weights @ sums, weights @ sizes
        pieces.append(np.divide(total, size, out=np.full_like(total, np.nan), where=size > 0))
    return np.concatenate(pieces).reshape(-1, *values.shape[1:])


def patient_sums(values: Floats, patients: Sequence[str]) -> tuple[Floats, Floats]:
    """Sums (P, ...) of the values (N, ...) of each patient's cases, and how many there are; NaN values are left out."""
    owner, num_patients = owners(patients)
    defined = ~np.isnan(values)
    sums, sizes = np.zeros((2, num_patients, *values.shape[1:]))
    np.add.at(sums, owner, np.where(defined, values, 0))
    np.add.at(sizes, owner, defined)
    return sums, sizes


def resampled_scores(
    metric: CohortMetric,
    truth: Indices,
    *,
    probabilities: Floats,
    classes: Sequence[str],
    patients: Sequence[str],
    bootstrap: Bootstrap,
) -> dict[str, Floats]:
    """The values (1 + R + G,) of a cohort metric, by name, in each weighting."""
    owner, num_patients = owners(patients)
    pieces = [
        metric.weighted(truth, probabilities, classes=classes, weights=weights[:, owner])
        for weights in bootstrap.weightings(num_patients, max(1, CHUNK_WEIGHTS // len(truth)))
    ]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def owners(patients: Sequence[str]) -> tuple[Indices, int]:
    """The number (N,) of each case's patient, in the order of first appearance, and how many patients there are."""
    numbers = {patient: number for number, patient in enumerate(dict.fromkeys(patients))}
    return np.array([numbers[patient] for patient in patients], dtype=np.int64), len(numbers)
