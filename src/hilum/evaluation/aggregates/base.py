"""The root of all ways to put the probabilities of a patient's cases together."""

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hilum.registry import Component

Floats = npt.NDArray[np.float64]
LEAST = float(np.finfo(np.float64).tiny)


class AggregateConfig(Component, family="aggregates"):
    """How the probabilities of a patient's cases become those of the patient."""

    needs_positive: ClassVar[bool] = True
    """Whether one class is the finding that single cases can prove."""

    def of_positive(self, probability: Floats) -> float:
        """The patient's probability of the positive class, from that of each case (N,)."""
        raise NotImplementedError

    def of_findings(self, probabilities: Floats) -> Floats:
        """The patient's probability of each finding (L,), from those of the cases (N, L), one by one."""
        return np.array([self.of_positive(probability) for probability in probabilities.T])

    def combined(self, probabilities: Floats, positive: int) -> Floats:
        """The patient's probabilities (C,) from those of the cases (N, C); they add up to 1.

        What the positive class leaves goes to the others as the mean over the cases divides it.
        """
        share = self.of_positive(probabilities[:, positive])
        rest = probabilities.mean(axis=0)
        rest[positive] = 0
        patient = rest * ((1 - share) / max(rest.sum(), LEAST))
        patient[positive] = share
        return patient
