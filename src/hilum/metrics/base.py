"""The two roots of all metrics: one value a case and structure, or values over the cases of a cohort."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from hilum.errors import ConfigError
from hilum.metrics.pair import MaskPair
from hilum.registry import Component

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class MetricConfig(Component, family="metrics"):
    """A score."""

    task: ClassVar[Literal["classification", "segmentation"]]
    better: ClassVar[Literal["higher", "lower"]] = "higher"

    @property
    def column(self) -> str:
        """The name of the score in `cases.csv` and in the summary."""
        return self.kind


class CaseMetric(MetricConfig):
    """A score of one structure in one case; its mean over the cases is the score of the cohort."""

    task: ClassVar[Literal["classification", "segmentation"]] = "segmentation"
    in_unit: ClassVar[bool] = False
    """Whether the value is a length, in the unit of the image (mm or pixel)."""

    def measure(self, pair: MaskPair) -> float:
        """The value; for a missed, invented or absent structure the one that `docs/metrics.md` states, never NaN."""
        raise NotImplementedError


class CohortMetric(MetricConfig):
    """Scores of a classifier over all cases together."""

    task: ClassVar[Literal["classification", "segmentation"]] = "classification"

    def weighted(
        self, truth: Indices, probabilities: Floats, *, classes: Sequence[str], weights: Floats
    ) -> dict[str, Floats]:
        """Values (R,) by name, the first of them named `column`; NaN where undefined.

        Truth (N,) as class indices, probabilities (N, C). Weights (R, N) say how often each case counts in each of R
        resamples: one call serves the score itself (all ones) and its bootstrap.
        """
        raise NotImplementedError

    def score(self, truth: Indices, probabilities: Floats, classes: Sequence[str]) -> dict[str, float]:
        """Values by name, every case counting once; NaN where undefined."""
        once = np.ones((1, len(truth)))
        values = self.weighted(truth, probabilities, classes=classes, weights=once)
        return {name: float(value[0]) for name, value in values.items()}


def check_columns(metrics: Sequence[MetricConfig]) -> None:
    """Raise ConfigError where two metrics would write the same column."""
    columns = [metric.column for metric in metrics]
    for position, column in enumerate(columns):
        if column in columns[:position]:
            raise ConfigError(f"metrics: two of them write the column '{column}'; name each metric once")
