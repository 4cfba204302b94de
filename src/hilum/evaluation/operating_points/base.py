"""The root of all ways to choose an operating point, and the search for the best threshold."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from hilum.metrics.curves import ranking
from hilum.registry import Component

Floats = npt.NDArray[np.float64]
Share = Annotated[float, Field(gt=0, le=1)]
DIGITS = 12
"""Values that agree to so many digits are equal: the rest is rounding."""
ROUNDING = 10.0**-DIGITS


@dataclass(frozen=True)
class Threshold:
    """A class is predicted where its probability is at least `value`; how that decides the cases it was chosen on."""

    value: float
    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def sensitivity(self) -> float:
        """Share of the positive cases that are found."""
        return self.tp / (self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """Share of the negative cases that are left alone."""
        return self.tn / (self.tn + self.fp)


class OperatingPointConfig(Component, family="operating_points"):
    """How a probability becomes a decision."""

    has_threshold: ClassVar[bool] = True
    """Whether a threshold is chosen at all."""

    def worth(self, sensitivity: Floats, specificity: Floats, prevalence: float) -> Floats:
        """How good each point of the ROC curve is (T,), higher being better; -inf where it may not be chosen."""
        raise NotImplementedError

    def choose(self, positive: npt.NDArray[np.bool_], probability: Floats) -> Threshold:
        """The best threshold for cases (N,) that are positive or not, with their probability of being so.

        It lies halfway between two probabilities that occur, so that rounding cannot turn a decision over. Of equals
        the one of higher sensitivity + specificity is taken, then that of higher sensitivity. There must be a positive
        and a negative case.
        """
        curve = ranking(positive, probability, np.ones((1, len(positive))))
        sensitivity, specificity = curve.sensitivity[0], 1 - curve.false_positive_rate[0]
        worth = self.worth(sensitivity, specificity, float(positive.mean()))
        best = max(
            range(len(worth)),
            key=lambda at: (
                round(float(worth[at]), DIGITS),
                round(float(sensitivity[at] + specificity[at]), DIGITS),
                sensitivity[at],
            ),
        )
        tp, fp = int(curve.tp[0, best]), int(curve.fp[0, best])
        value = float(_between(curve.thresholds)[best])
        return Threshold(value, tp, fp, int(positive.sum()) - tp, int((~positive).sum()) - fp)


def _between(scores: Floats) -> Floats:
    """Thresholds (T + 1,) that part distinct scores (T,), highest first: above all of them, between two, 0."""
    highest = (scores[0] + 1) / 2 if scores[0] < 1 else np.nextafter(1.0, 2.0)
    middle = (scores[:-1] + scores[1:]) / 2
    return np.concatenate([[highest], np.where(middle > scores[1:], middle, scores[:-1]), [0.0]])
