"""Which scores of a classifier have an interval by a formula, and that interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hilum.evaluation.areas import area_interval
from hilum.evaluation.proportions import clustered_wilson
from hilum.metrics.auroc import AurocMetric
from hilum.metrics.confusion import ClassCounts, class_counts

if TYPE_CHECKING:
    import numpy.typing as npt

    from hilum.metrics.base import CohortMetric

    Floats = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int64]

AREA, PROPORTION = "delong", "wilson"
"""How an interval was found, as a summary names it; the others are `bca` and `percentile`."""

PARTS: Mapping[str, Callable[[ClassCounts], tuple[Floats, Floats]]] = {
    "sensitivity": lambda n: (n.tp, n.tp + n.fn),
    "specificity": lambda n: (n.tn, n.tn + n.fp),
    "precision": lambda n: (n.tp, n.tp + n.fp),
    "npv": lambda n: (n.tn, n.tn + n.fn),
    "fdr": lambda n: (n.fp, n.tp + n.fp),
    "for": lambda n: (n.fn, n.tn + n.fn),
    "fpr": lambda n: (n.fp, n.tn + n.fp),
    "fnr": lambda n: (n.fn, n.tp + n.fn),
    "prevalence": lambda n: (n.tp + n.fn, n.tp + n.fn + n.fp + n.tn),
    "threat_score": lambda n: (n.tp, n.tp + n.fn + n.fp),
    "accuracy": lambda n: (n.tp + n.tn, n.tp + n.fn + n.fp + n.tn),
}
"""Scores of a class that are shares of cases, by kind: cases that count, and cases that could."""


@dataclass(frozen=True)
class Decisions:
    """What a classifier said of cases: true classes (N,), probabilities (N, C), and the number of each case's patient.

    Probabilities may be decisions: 1 for the class that was decided on.
    """

    truth: Indices
    probabilities: Floats
    classes: Sequence[str]
    owner: Indices


@dataclass(frozen=True)
class Interval:
    """An interval and how it was found; None where the formula needs more cases than there are."""

    method: str
    ends: tuple[float, float] | None


def closed_forms(metric: CohortMetric, seen: Decisions, *, level: float) -> dict[str, Interval]:
    """The intervals of those of a metric's scores that have a closed form, by the score's name.

    Areas under the ROC curve of a class and over all decisions (micro), and shares of cases. Means over several classes
    have none.
    """
    if isinstance(metric, AurocMetric):
        return _areas(metric, seen, level=level)
    if metric.kind in PARTS:
        return _shares(metric, seen, level=level)
    return {}


def _areas(metric: AurocMetric, seen: Decisions, *, level: float) -> dict[str, Interval]:
    number, two = len(seen.classes), len(seen.classes) == 2
    members = np.eye(number, dtype=bool)[seen.truth]
    if metric.average == "weighted":
        return {}
    if metric.average == "micro":
        owner = np.repeat(seen.owner, number)
        ends = area_interval(members.ravel(), seen.probabilities.ravel(), owner, level=level)
        return {metric.column: Interval(AREA, ends)}
    names = {1: metric.column} if two else {index: f"{metric.column}_{name}" for index, name in enumerate(seen.classes)}
    return {
        name: Interval(AREA, area_interval(members[:, index], seen.probabilities[:, index], seen.owner, level=level))
        for index, name in names.items()
    }


def _shares(metric: CohortMetric, seen: Decisions, *, level: float) -> dict[str, Interval]:
    counts = patient_counts(seen)
    hits, trials = PARTS[metric.kind](class_counts(counts))
    parts = {f"{metric.column}_{name}": (hits[:, i], trials[:, i]) for i, name in enumerate(seen.classes)}
    if metric.kind == "accuracy":
        parts[metric.column] = np.trace(counts, axis1=1, axis2=2), counts.sum(axis=(1, 2))
    elif len(seen.classes) == 2:
        parts[metric.column] = hits[:, 1], trials[:, 1]
    return {name: Interval(PROPORTION, clustered_wilson(*part, level=level)) for name, part in parts.items()}


def patient_counts(seen: Decisions) -> Floats:
    """Cases of each patient (P, C, C), true class by predicted class: the one of highest probability."""
    number, patients = len(seen.classes), int(seen.owner.max()) + 1
    cells = (seen.owner * number + seen.truth) * number + seen.probabilities.argmax(axis=1)
    counted: Floats = np.bincount(cells, minlength=patients * number**2).astype(np.float64)
    return counted.reshape(patients, number, number)
