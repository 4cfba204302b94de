"""The scores of several methods in the same resamples of the same patients, so that they can be subtracted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from hilum.evaluation.areas import Area, area
from hilum.evaluation.by_image import image_values
from hilum.evaluation.by_output import Output, outputs_of, resampled_output
from hilum.evaluation.decision import sees_decisions_only
from hilum.evaluation.intervals import Bootstrap, owners, patient_sums, resampled_means, resampled_scores
from hilum.evaluation.rows import PROBABILITY_PREFIX
from hilum.evaluation.summary import case_values
from hilum.metrics.base import CaseMetric, CohortMetric, MetricConfig, NumberMetric
from hilum.metrics.confusion import mean_of_defined, ratio
from hilum.metrics.images import ImageMetric

if TYPE_CHECKING:
    import numpy.typing as npt

    from hilum.evaluation.pairing import Scored
    from hilum.problem import Problem

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

    `by_patient` has the mean of each score that cases have by themselves over a patient's cases (P,), `right` the
    number of a patient's cases that are decided rightly (P,), `areas` those under the ROC curve of each class or
    finding that has one.
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
    if sides[0].problem.kind in ("multilabel", "regression"):
        return [_answers(side, bootstrap) for side in sides], []
    tables = [_tabled(side) for side in sides]
    metrics = tables[0].metrics
    undefined = np.isnan(np.stack([table.values for table in tables])).any(axis=0)
    what = "structures" if tables[0].structures else "cases"
    notes = [
        f"{metric.column}: undefined in {int(count)} {what} of a method, which are left out of it in all"
        for metric, count in zip(metrics, undefined.sum(axis=(0, 1)), strict=True)
        if count
    ]
    shared = [replace(table, values=np.where(undefined, np.nan, table.values)) for table in tables]
    return [_by_case(table, bootstrap) for table in shared], notes


@dataclass(frozen=True)
class CaseTable:
    """Scores that cases have by themselves (N, structures, metrics), NaN where undefined, and whose cases they are.

    A restoration has one structure without a name: the image.
    """

    values: Floats
    patients: Sequence[str]
    structures: tuple[str, ...]
    metrics: Sequence[MetricConfig]


def _tabled(side: Scored) -> CaseTable:
    """The scores in the rows of a segmentation or a restoration."""
    if side.problem.kind == "segmentation":
        metrics = [metric for metric in side.metrics if isinstance(metric, CaseMetric)]
        values, patients = case_values(side.rows, side.problem, metrics)
        return CaseTable(values, patients, side.problem.foreground, metrics)
    of_images = [metric for metric in side.metrics if isinstance(metric, ImageMetric)]
    values = np.stack([image_values(side.rows, metric.column) for metric in of_images], axis=1)[:, None]
    return CaseTable(values, [str(row["patient_id"]) for row in side.rows], (), of_images)


def _by_case(table: CaseTable, bootstrap: Bootstrap) -> Measured:
    means = resampled_means(table.values, table.patients, bootstrap)
    sums, sizes = patient_sums(table.values, table.patients)
    each = ratio(sums, sizes)
    found: dict[Key, Floats] = {}
    by_patient: dict[Key, Floats] = {}
    for position, metric in enumerate(table.metrics):
        better = metric.better if metric.ranks else None
        whole = Key(metric.column, metric.column, OVER_CLASSES, better)
        found[whole] = mean_of_defined(means[:, :, position])
        by_patient[whole] = mean_of_defined(each[:, :, position])
        for number, name in enumerate(table.structures):
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


def _answers(side: Scored, bootstrap: Bootstrap) -> Measured:
    """Findings or numbers: each by itself as a structure, and the mean of those where it is defined."""
    outputs = outputs_of(side.rows, side.problem)
    owner, num_patients = owners([str(row["patient_id"]) for row in side.rows])
    errors = [_errors_by_patient(one, owner, num_patients) for one in outputs]
    found: dict[Key, Floats] = {}
    by_patient: dict[Key, Floats] = {}
    for metric in side.metrics:
        drawn = [resampled_output(metric, one, bootstrap) for one in outputs]
        for name in drawn[0]:
            for key, numbers in _keys_of(name, metric, outputs=outputs, problem=side.problem):
                found[key] = mean_of_defined(np.stack([drawn[number][name] for number in numbers], axis=1))
                if name == "mae":
                    by_patient[key] = mean_of_defined(np.stack([errors[number] for number in numbers], axis=1))
    tried = {one.name: _area_of(one, owner, num_patients) for one in outputs if not side.problem.continuous}
    return Measured(found, by_patient, areas={name: one for name, one in tried.items() if one is not None})


def _keys_of(
    name: str, metric: MetricConfig, *, outputs: Sequence[Output], problem: Problem
) -> list[tuple[Key, list[int]]]:
    """Each key of a score, and the numbers of the findings or numbers whose mean it is.

    Numbers of different units have no mean error: there each has a score of its own, such as mae_age.
    """
    better = metric.better if metric.ranks else None
    numbered = list(enumerate(outputs))
    if isinstance(metric, NumberMetric) and not metric.averages(problem):
        return [(Key(f"{name}_{one.name}", metric.column, OVER_CLASSES, better), [at]) for at, one in numbered]
    own = [(Key(name, metric.column, one.name, better), [at]) for at, one in numbered]
    return [(Key(name, metric.column, OVER_CLASSES, better), [at for at, _ in numbered]), *(own if own[1:] else [])]


def _errors_by_patient(one: Output, owner: Indices, num_patients: int) -> Floats:
    """The mean absolute error of each patient (P,), NaN where nothing of the patient is known."""
    errors, known = np.abs(one.answers - one.truth), one.known
    sums = np.bincount(owner[known], errors[known], num_patients).astype(np.float64)
    return ratio(sums, np.bincount(owner[known], minlength=num_patients).astype(np.float64))


def _area_of(one: Output, owner: Indices, num_patients: int) -> Area | None:
    """The area under the ROC curve of a finding in the cases where it is known; None where it has none."""
    known = one.known
    return area(one.truth[known] == 1, one.answers[known], owner[known], num_patients)
