"""Bootstrap weights of cases for the bands around curves: whole patients are drawn, with all of their cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.random import generator

Floats = npt.NDArray[np.float64]

RESAMPLES = 200
"""A band needs fewer resamples than an interval that is reported as a number."""
LEVEL = 0.95
CHUNK_WEIGHTS = 2**21
"""Resamples are drawn in chunks of this many weights, which bounds their memory."""


@dataclass(frozen=True)
class Resampling:
    """Resamples of the patients that N cases belong to, always the same ones for the same seed."""

    patients: Sequence[str]
    seed: int

    def weights(self) -> Iterator[Floats]:
        """How often each case counts in each resample, in chunks (r, N)."""
        _, owner = np.unique(np.asarray(self.patients, dtype=str), return_inverse=True)
        num_patients = int(owner.max()) + 1
        rng = generator(self.seed, 0, 0, "report.bands")
        share = np.full(num_patients, 1 / num_patients)
        step = max(1, CHUNK_WEIGHTS // len(owner))
        for first in range(0, RESAMPLES, step):
            counts = rng.multinomial(num_patients, share, size=min(step, RESAMPLES - first))
            yield counts[:, owner].astype(np.float64)

    def band(self, of_weights: Callable[[Floats], Floats]) -> tuple[Floats, Floats] | None:
        """Lower and upper ends (G,), point by point, of what `of_weights` makes (r, G) of weights (r, N).

        NaN where no resample has a value; None where there is one patient only.
        """
        if len(set(self.patients)) < 2:
            return None
        values = np.concatenate([of_weights(weights) for weights in self.weights()])
        tail = 100 * (1 - LEVEL) / 2
        low, high = np.full((2, values.shape[1]), np.nan)
        known = ~np.isnan(values).all(axis=0)
        low[known], high[known] = np.nanpercentile(values[:, known], [tail, 100 - tail], axis=0)
        return low, high
