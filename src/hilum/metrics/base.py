"""The roots of all metrics: one value a case and structure, or values over the cases of a cohort."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from hilum.errors import ConfigError
from hilum.metrics.confusion import mean_of_defined
from hilum.metrics.pair import MaskPair
from hilum.problem import Kind, Problem
from hilum.registry import Component

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Task = Kind
BY_IMAGE: tuple[Task, ...] = ("classification", "multilabel")
"""The tasks that a score of a classifier is for: in a multilabel task each finding is a class against its absence."""
Better = Literal["higher", "lower"]
Measured = Literal["share", "length", "volume", "number"]


class MetricConfig(Component, family="metrics"):
    """A score."""

    tasks: ClassVar[tuple[Task, ...]]
    better: ClassVar[Better] = "higher"
    ranks: ClassVar[bool] = True
    """Whether one value is better than another at all: a prevalence or a signed error cannot choose a checkpoint."""
    undefined: ClassVar[str] = ""
    """When the score is NaN."""

    @property
    def column(self) -> str:
        """The name of the score in `cases.csv` and in the summary."""
        return self.kind

    def faults(self, problem: Problem) -> list[str]:
        """Why the settings of a score that is for such tasks do not suit this one: a sentence each."""
        del problem
        return []

    def why_no_monitor(self, problem: Problem) -> str:
        """Why the score cannot choose a checkpoint; empty where it can."""
        del problem
        return "" if self.ranks else "none of its values is better than another"


class CaseMetric(MetricConfig):
    """A score of one structure in one case; its mean over the cases is the score of the cohort."""

    tasks: ClassVar[tuple[Task, ...]] = ("segmentation",)
    measures: ClassVar[Measured] = "share"
    """What the value is; lengths are in the unit of the image (mm or pixel), volumes in ml (or pixel)."""
    one_sided: ClassVar[str] = ""
    """In words: the value of a structure that only the truth or only the prediction has, where that is a penalty."""
    absent: ClassVar[str] = ""
    """In words: the value of a structure that neither has, where that is not what the formula gives."""

    def measure(self, pair: MaskPair) -> float:
        """The value; for a missed, invented or absent structure the one that `docs/metrics.md` states.

        NaN only where `undefined` says so: what is NaN is left out of the mean, and a miss must never be.
        """
        raise NotImplementedError


class OverlapMetric(CaseMetric):
    """A share between 0 and 1: 0 where only one side has the structure, 1 where neither has it."""

    one_sided: ClassVar[str] = "0"
    absent: ClassVar[str] = "1"


class DistanceMetric(CaseMetric):
    """A length: the diagonal of the image where only one side has the structure, 0 where neither has it."""

    better: ClassVar[Better] = "lower"
    measures: ClassVar[Measured] = "length"
    one_sided: ClassVar[str] = "the diagonal of the image"
    absent: ClassVar[str] = "0"


class CohortMetric(MetricConfig):
    """Scores of a classifier over all cases together."""

    tasks: ClassVar[tuple[Task, ...]] = BY_IMAGE

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

    def with_classes(self, values: Floats, classes: Sequence[str]) -> dict[str, Floats]:
        """Values (R, C) by name: `column`, and each class's as `column_<class>`.

        The first is that of the second of two classes, otherwise the mean over the classes where it is defined (macro).
        """
        headline = values[:, 1] if len(classes) == 2 else mean_of_defined(values)
        return {self.column: headline} | self.of_classes(values, classes)

    def of_classes(self, values: Floats, classes: Sequence[str]) -> dict[str, Floats]:
        """The values (R, C) of the classes by name, as `column_<class>`."""
        return {f"{self.column}_{name}": values[:, index] for index, name in enumerate(classes)}


class NumberMetric(MetricConfig):
    """A score of the numbers that a regression predicts, over all cases together."""

    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    in_unit: ClassVar[bool] = True
    """Whether the value is in the unit of the number, so that values of different numbers cannot be averaged."""

    def weighted(self, truth: Floats, predicted: Floats, weights: Floats) -> dict[str, Floats]:
        """Values (R,) by name, the first of them named `column`; NaN where undefined.

        Truth (N,) and predictions (N,) of one number, all known. Weights (R, N) say how often each case counts in each
        of R resamples.
        """
        raise NotImplementedError

    def averages(self, problem: Problem) -> bool:
        """Whether values of several numbers have a mean: shares do, errors only where all are in one unit."""
        one_unit = len(set(problem.units)) == 1 and bool(problem.units[0])
        return len(problem.classes) == 1 or not self.in_unit or one_unit

    def why_no_monitor(self, problem: Problem) -> str:
        """Why the score cannot choose a checkpoint; empty where it can."""
        if self.averages(problem):
            return super().why_no_monitor(problem)
        return f"errors of {problem.described()} have no mean, since they are not in one unit"


def check_columns(metrics: Sequence[MetricConfig]) -> None:
    """Raise ConfigError where two metrics would write the same column."""
    columns = [metric.column for metric in metrics]
    for position, column in enumerate(columns):
        if column in columns[:position]:
            raise ConfigError(f"metrics: two of them write the column '{column}'; name each metric once")
