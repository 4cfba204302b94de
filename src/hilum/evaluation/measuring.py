"""The scores of several methods in the same resamples of the same patients, so that they can be subtracted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hilum.evaluation.areas import Area, area
from hilum.evaluation.decision import sees_decisions_only
from hilum.evaluation.intervals import Bootstrap, owners, patient_sums, resampled_means, resampled_scores
from hilum.evaluation.rows import PROBABILITY_PREFIX
from hilum.evaluation.summary import case_values
from hilum.metrics.base import CaseMetric, CohortMetric
from hilum.metrics.confusion import mean_of_defined, ratio

if TYPE_CHECKING:
    import numpy.typing as npt

    from hilum.evaluation.pairing import Scored

    Floats = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int64]

OVER_CLASSES = ""
"""Stands for all classes together where one is named."""


@dataclass(frozen=True)
class Key:
    """A score that methods are compared by: its name, its metric's column, its structure, which values are better."""

    score: str
    column: str
    structure: str
    better: str | None


@dataclass(frozen=True)
class Measured:
    """The values of a run: each score in all weightings (1 + R + G,), and what paired tests need.

    `by_patient` has the mean of each score of a segmentation over a patient's cases (P,), `right` the number of a
    patient's cases that are decided rightly (P,), `areas` those under the ROC curve of each class that has one.
    """

    values: dict[Key, Floats]
    by_patient: dict[Key, Floats]
    right: Indices | None = None
    areas: Mapping[str, Area] = field(default_factory=dict)


def measure(sides: Sequence[Scored], bootstrap: Bootstrap) -> tuple[list[Measured], list[str]]:
    """The values of all runs, and notes on what had to be left out; the sides come from `paired`.

    A structure whose score is undefined in one of them is left out of that score in all.
    """
    if sides[0].problem.kind == "classification":
        return [_classifier(side, bootstrap) for side in sides], []
    metrics = [metric for metric in sides[0].metrics if isinstance(metric, CaseMetric)]
    tables = [case_values(side.rows, side.problem, metrics) for side in sides]
    undefined = np.isnan(np.stack([values for values, _ in tables])).any(axis=0)
    notes = [
        f"{metric.column}: undefined in {int(count)} structures of a method, which are left out of it in all"
        for metric, count in zip(metrics, undefined.sum(axis=(0, 1)), strict=True)
        if count
    ]
    return [
        _segmenter(side, np.where(undefined, np.nan, table[0]), table[1], bootstrap)
        for side, table in zip(sides, tables, strict=True)
    ], notes


def _segmenter(side: Scored, values: Floats, patients: Sequence[str], bootstrap: Bootstrap) -> Measured:
    means = resampled_means(values, patients, bootstrap)
    sums, sizes = patient_sums(values, patients)
    each = ratio(sums, sizes)
    found: dict[Key, Floats] = {}
    by_patient: dict[Key, Floats] = {}
    for position, metric in enumerate(side.metrics):
        better = metric.better if metric.ranks else None
        whole = Key(metric.column, metric.column, OVER_CLASSES, better)
        found[whole] = mean_of_defined(means[:, :, position])
        by_patient[whole] = mean_of_defined(each[:, :, position])
        for number, name in enumerate(side.problem.foreground):
            key = Key(metric.column, metric.column, name, better)
            found[key], by_patient[key] = means[:, number, position], each[:, number, position]
    return Measured(found, by_patient)


def _classifier(side: Scored, bootstrap: Bootstrap) -> Measured:
    classes = side.problem.classes
    truth, predicted = (
        np.array([classes.index(str(row[column])) for row in side.rows]) for column in ("truth", "predicted")
    )
    columns = [f"{PROBABILITY_PREFIX}{name}" for name in classes]
    probabilities = np.array([[float(row[column] or 0) for column in columns] for row in side.rows])
    patients = [str(row["patient_id"]) for row in side.rows]
    owner, num_patients = owners(patients)
    found: dict[Key, Floats] = {}
    for metric in side.metrics:
        if not isinstance(metric, CohortMetric):
            continue
        given = np.eye(len(classes))[predicted] if sees_decisions_only(metric, classes) else probabilities
        values = resampled_scores(
            metric, truth, probabilities=given, classes=classes, patients=patients, bootstrap=bootstrap
        )
        better = metric.better if metric.ranks else None
        found |= {Key(name, metric.column, OVER_CLASSES, better): value for name, value in values.items()}
    right = np.bincount(owner, truth == predicted, num_patients).astype(np.int64)
    tried = {
        name: area(truth == index, probabilities[:, index], owner, num_patients) for index, name in enumerate(classes)
    }
    areas = {name: one for name, one in tried.items() if one is not None}
    return Measured(found, {}, right, areas)
