"""Confidence intervals by drawing patients, not cases: scans of one patient are not independent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hilum.random import generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from hilum.metrics.base import CohortMetric

    Floats = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int64]

CHUNK_WEIGHTS = 2**21
"""Cohort scores are resampled in chunks of this many weights, which bounds their memory."""


@dataclass(frozen=True)
class Bootstrap:
    """A percentile bootstrap clustered by patient (Efron and Tibshirani 1993; Field and Welsh 2007)."""

    resamples: int = 1000
    level: float = 0.95
    seed: int = 0

    def counts(self, num_patients: int) -> Floats:
        """How often each patient was drawn (R, P), drawing as many as there are, with replacement."""
        rng = generator(self.seed, 0, 0, "evaluation.bootstrap")
        share = np.full(num_patients, 1 / num_patients)
        return rng.multinomial(num_patients, share, size=self.resamples).astype(np.float64)

    def interval(self, resampled: Floats) -> tuple[float, float] | None:
        """The middle `level` of the resampled values (R,), without those that are NaN; None where all are."""
        defined = resampled[~np.isnan(resampled)]
        if not defined.size:
            return None
        tail = (1 - self.level) / 2
        low, high = np.quantile(defined, [tail, 1 - tail])
        return float(low), float(high)


def resampled_means(values: Floats, patients: Sequence[str], bootstrap: Bootstrap) -> Floats:
    """Means (R, ...) over the cases of `values` (N, ...) in each resample; NaN values are left out of their mean."""
    owner, num_patients = _owners(patients)
    flat = values.reshape(len(values), -1)
    defined = ~np.isnan(flat)
    sums, sizes = np.zeros((2, num_patients, flat.shape[1]))
    np.add.at(sums, owner, np.where(defined, flat, 0))
    np.add.at(sizes, owner, defined)
    counts = bootstrap.counts(num_patients)
    total, size = counts @ sums, counts @ sizes
    means = np.divide(total, size, out=np.full_like(total, np.nan), where=size > 0)
    return means.reshape(-1, *values.shape[1:])


def resampled_scores(
    metric: CohortMetric,
    truth: Indices,
    *,
    probabilities: Floats,
    classes: Sequence[str],
    patients: Sequence[str],
    bootstrap: Bootstrap,
) -> dict[str, Floats]:
    """The values (R,) of a cohort metric, by name, in each resample."""
    owner, num_patients = _owners(patients)
    counts = bootstrap.counts(num_patients)
    step = max(1, CHUNK_WEIGHTS // len(truth))
    chunks = [
        metric.weighted(truth, probabilities, classes=classes, weights=counts[first : first + step][:, owner])
        for first in range(0, len(counts), step)
    ]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _owners(patients: Sequence[str]) -> tuple[Indices, int]:
    """The number (N,) of each case's patient, in the order of first appearance, and how many patients there are."""
    numbers = {patient: number for number, patient in enumerate(dict.fromkeys(patients))}
    return np.array([numbers[patient] for patient in patients], dtype=np.int64), len(numbers)
