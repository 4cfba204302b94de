"""The partial area under the ROC curve, where specificity is high."""

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from hilum.metrics.base import Floats
from hilum.metrics.curves import ranking
from hilum.metrics.one_against_rest import OneAgainstRest

USUAL = 0.9


def partial_auroc(
    positive: npt.NDArray[np.bool_], scores: Floats, *, weights: Floats, min_specificity: float
) -> Floats:
    """Area (R,) left of 1 - `min_specificity`, scaled so that 0.5 is chance and 1 the best (McClish 1989).

    Positive (N,), scores (N,), weights (R, N). NaN where one of the two kinds is missing.
    """
    most = 1 - min_specificity
    ranked = ranking(positive, scores, weights)
    x, y = ranked.false_positive_rate, ranked.sensitivity
    start, width = np.minimum(x[:, :-1], most), np.diff(x, axis=1)
    kept = np.minimum(x[:, 1:], most) - start
    inside = np.divide(kept, width, out=np.zeros_like(kept), where=width > 0)
    reached = y[:, :-1] + inside * np.diff(y, axis=1)  # the curve is cut on its way to the next point
    area = (kept * (y[:, :-1] + reached) / 2).sum(axis=1)
    least = most**2 / 2
    return 0.5 * (1 + (area - least) / (most - least))


class PartialAurocMetric(OneAgainstRest, kind="partial_auroc"):
    """Partial area under the ROC curve at high specificity, standardised: 0.5 by chance, 1 at best (McClish 1989)."""

    min_specificity: Annotated[float, Field(ge=0, lt=1)] = USUAL
    """Only the part of the curve with at least this specificity counts."""

    @property
    def column(self) -> str:
        """`partial_auroc` at the usual 0.9, otherwise with its specificity: `partial_auroc_0.8`."""
        return self.kind if self.min_specificity == USUAL else f"{self.kind}_{self.min_specificity:g}"

    def of_class(self, positive: npt.NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
        """Up to 1; see `partial_auroc`."""
        return partial_auroc(positive, scores, weights=weights, min_specificity=self.min_specificity)
