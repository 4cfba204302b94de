"""Which class a row of probabilities is decided to be, by the operating point that was chosen for a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hilum.evaluation.operating_points.base import Threshold
from hilum.evaluation.rows import PREDICTED_PREFIX, PROBABILITY_PREFIX, answer_cells
from hilum.random import generator

if TYPE_CHECKING:
    import numpy.typing as npt

    from hilum.metrics.base import CohortMetric
    from hilum.problem import Problem

    Floats = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int64]

PREDICTED, THRESHOLD = "predicted", "threshold"
"""The columns of a decision; the second only where a threshold decides."""
FINDINGS = "findings"
"""Under which the record of several operating points has each by its name."""
PROBED = 256
"""Random cases that show whether a metric looks at more than the decisions."""


@dataclass(frozen=True)
class OperatingPoint:
    """One class against the rest: it is predicted where its probability reaches a threshold, else the likeliest other.

    `rule` are the settings that the threshold was chosen by.
    """

    positive: str
    threshold: Threshold
    rule: Mapping[str, Any] = field(hash=False)

    def decide(self, probabilities: Floats, classes: Sequence[str]) -> Indices:
        """The predicted class (N,) of probabilities (N, C)."""
        index = classes.index(self.positive)
        others = np.delete(probabilities, index, axis=1).argmax(axis=1)
        others += others >= index
        return np.where(probabilities[:, index] >= self.threshold.value, index, others)

    @property
    def described(self) -> str:
        """The decision and what it was worth on validation, in a line."""
        at = self.threshold
        return (
            f"{self.positive} where its probability is at least {at.value:.4g} ({self.rule['kind']}; there sensitivity "
            f"{at.sensitivity:.3f}, {at.tp} of {at.tp + at.fn}, and specificity {at.specificity:.3f}, "
            f"{at.tn} of {at.tn + at.fp})"
        )

    @property
    def each(self) -> tuple[OperatingPoint, ...]:
        """This one alone, where those of several findings are several."""
        return (self,)

    @property
    def told(self) -> dict[str, Any]:
        """What decides, as JSON."""
        return {"positive": self.positive, THRESHOLD: self.threshold.value}

    @property
    def record(self) -> dict[str, Any]:
        """The point as JSON."""
        at = self.threshold
        counts = {key: value for key, value in asdict(at).items() if key != "value"}
        scores = {"sensitivity": at.sensitivity, "specificity": at.specificity}
        return {"positive": self.positive, THRESHOLD: at.value, "rule": dict(self.rule), **counts, **scores}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The point that `record` gave."""
        counts = {name: int(record[name]) for name in ("tp", "fp", "fn", "tn")}
        return cls(record["positive"], Threshold(float(record[THRESHOLD]), **counts), record["rule"])


@dataclass(frozen=True)
class FindingPoints:
    """An operating point for each finding, by its name: it is predicted where its probability reaches its threshold."""

    points: Mapping[str, OperatingPoint] = field(hash=False)

    @property
    def each(self) -> tuple[OperatingPoint, ...]:
        """The points in the order of the findings."""
        return tuple(self.points.values())

    @property
    def told(self) -> dict[str, Any]:
        """What decides, as JSON."""
        return {name: point.threshold.value for name, point in self.points.items()}

    @property
    def record(self) -> dict[str, Any]:
        """The points as JSON."""
        return {FINDINGS: {name: point.record for name, point in self.points.items()}}


Points = OperatingPoint | FindingPoints


def points_from(record: Mapping[str, Any]) -> Points:
    """The operating point, or those of findings, that `record` gave."""
    if FINDINGS not in record:
        return OperatingPoint.from_record(record)
    return FindingPoints({name: OperatingPoint.from_record(one) for name, one in record[FINDINGS].items()})


@dataclass(frozen=True)
class Decision:
    """All that was chosen on the validation patients for the weights of a run.

    `facts` is what a summary says of it; `notes` what is said aloud.
    """

    temperature: float = 1.0
    of_cases: Points | None = None
    of_patients: Points | None = None
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)
    notes: tuple[str, ...] = ()


def settled(row: Mapping[str, Any], point: Points | None, problem: Problem) -> dict[str, Any]:
    """A row of a case or of a patient as the operating point says; unchanged for findings and numbers without one."""
    if isinstance(point, FindingPoints):
        return with_findings(row, point)
    return decided(row, point, problem.classes) if problem.kind == "classification" else dict(row)


def told(values: Floats, point: Points | None, problem: Problem) -> dict[str, Any]:
    """What is said of a whole image from the answer (num_outputs,) of a network, column by column of `results.csv`.

    The class that is decided on with its threshold, or the findings with theirs, and all probabilities; or the numbers
    with their units.
    """
    if problem.kind != "classification":
        return settled(answer_cells(values, problem), point, problem)
    row = {f"{PROBABILITY_PREFIX}{name}": float(p) for name, p in zip(problem.classes, values, strict=True)}
    return settled(row, point, problem)


def with_findings(row: Mapping[str, Any], points: FindingPoints) -> dict[str, Any]:
    """A row of probabilities with predicted_NAME of 1 or 0, and after it threshold_NAME, of each finding."""
    result: dict[str, Any] = {}
    for column, value in row.items():
        name = column.removeprefix(PREDICTED_PREFIX)
        if column.startswith(f"{THRESHOLD}_"):
            continue
        result[column] = value
        if name != column and name in points.points:
            limit = points.points[name].threshold.value
            result[column] = int(float(row[f"{PROBABILITY_PREFIX}{name}"]) >= limit)
            result[f"{THRESHOLD}_{name}"] = limit
    return result


def decided(row: Mapping[str, Any], point: OperatingPoint | None, classes: Sequence[str]) -> dict[str, Any]:
    """A row of probabilities with its columns `predicted` and `threshold` as the operating point says.

    Without a point the most likely class, the first of equals, and no threshold.
    """
    columns = [f"{PROBABILITY_PREFIX}{name}" for name in classes]
    probabilities = np.array([[row[column] for column in columns]], dtype=np.float64)
    index = probabilities[0].argmax() if point is None else point.decide(probabilities, classes)[0]
    said = {PREDICTED: classes[int(index)], **({} if point is None else {THRESHOLD: point.threshold.value})}
    result: dict[str, Any] = {}
    for column, value in row.items():
        result |= said if column == columns[0] else {}
        result |= {} if column in (PREDICTED, THRESHOLD) else {column: value}
    return result


def sees_decisions_only(metric: CohortMetric, classes: Sequence[str]) -> bool:
    """Whether a score depends on the predicted class alone: an accuracy does, an area under a curve does not.

    Found by scoring random probabilities, and then the same decisions made with certainty: both values are equal, or
    the metric looks at the probabilities themselves.
    """
    number = len(classes)
    rng = generator(0, 0, 0, "evaluation.sees_decisions_only")
    truth = rng.integers(0, number, PROBED)
    probabilities = rng.dirichlet(np.ones(number), PROBED)
    certain = np.eye(number)[probabilities.argmax(axis=1)]
    before, after = (metric.score(truth, given, classes) for given in (probabilities, certain))
    return np.array_equal(list(before.values()), list(after.values()), equal_nan=True)
