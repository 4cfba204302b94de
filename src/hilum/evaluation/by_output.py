"""The summary of tasks that ask several things of an image: each finding or number by itself, and their mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hilum.errors import ConfigError, DataError
from hilum.evaluation.closed_forms import Decisions, closed_forms
from hilum.evaluation.decision import sees_decisions_only
from hilum.evaluation.intervals import CHUNK_WEIGHTS, Bootstrap, owners
from hilum.evaluation.rows import PREDICTED_PREFIX, PROBABILITY_PREFIX, TRUTH_PREFIX
from hilum.evaluation.scores import closed_score, instability, score
from hilum.metrics.base import CohortMetric, NumberMetric
from hilum.metrics.confusion import mean_of_defined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from hilum.evaluation.rows import Row
    from hilum.metrics.base import MetricConfig
    from hilum.problem import Problem

    Floats = npt.NDArray[np.float64]
    Summary = dict[str, Any]
    Score = dict[str, Any]

UNITS_DIFFER = "undefined: a mean of numbers of different units"
NOT_DEFINED = "undefined in these cases"


@dataclass(frozen=True)
class Output:
    """One finding or number: truth (N,), NaN where unknown, and probabilities or predictions (N,), by patient.

    `predicted` (N,) are the decisions about a finding, 1 or 0, and of a number the answers again.
    """

    name: str
    truth: Floats
    answers: Floats
    predicted: Floats
    patients: Sequence[str]

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """The cases (N,) whose truth is known."""
        known: npt.NDArray[np.bool_] = ~np.isnan(self.truth)
        return known

    def decisions(self, metric: CohortMetric) -> Decisions:
        """A finding as two classes, absent and present, in the cases where it is known.

        With its probabilities, or for a score that sees decisions alone, with these as certain ones.
        """
        known, classes = self.known, (f"no {self.name}", self.name)
        likely = (self.predicted if sees_decisions_only(metric, classes) else self.answers)[known]
        owner = owners([patient for patient, one in zip(self.patients, known, strict=True) if one])[0]
        return Decisions(self.truth[known].astype(np.int64), np.stack([1 - likely, likely], axis=1), classes, owner)


def by_output(
    summary: Summary,
    rows: Sequence[Row],
    *,
    problem: Problem,
    metrics: Sequence[MetricConfig],
    bootstrap: Bootstrap | None,
) -> Summary:
    """The summary with the scores of each finding of a multilabel task, or of each number of a regression.

    `overall` has the mean over all of them under the name of a score, and each one's as score_NAME where there are
    several; `classes` has them by name. Cases whose truth is unknown are left out, finding by finding. Raises DataError
    for rows that do not belong to the problem.
    """
    if summary["cases"] != len(rows):
        raise DataError(f"received {len(rows)} rows of {summary['cases']} cases, expected one row a case")
    outputs = outputs_of(rows, problem)
    summary["classes"] = {one.name: _counts(one, number, problem) for number, one in enumerate(outputs)}
    summary["notes"] += _never(outputs, problem)
    summary["metrics"], summary["overall"] = {}, {}
    for metric in metrics:
        summary["metrics"][metric.column] = _facts(metric, problem)
        for name, found in _scored(summary, metric, outputs, problem=problem, bootstrap=bootstrap).items():
            if name in summary["overall"]:
                raise ConfigError(f"metrics: two of them write '{name}'; rename a class or leave one of them out")
            summary["overall"][name] = found
            summary["notes"] += [note for note in [instability(name, found, bootstrap)] if note]
    return summary


def outputs_of(rows: Sequence[Row], problem: Problem) -> list[Output]:
    """Every finding or number of the rows of cases. Raises DataError for a column that they lack."""
    prefix = PREDICTED_PREFIX if problem.continuous else PROBABILITY_PREFIX
    patients = [str(row["patient_id"]) for row in rows]
    return [
        Output(
            name,
            _column(rows, f"{TRUTH_PREFIX}{name}"),
            _column(rows, f"{prefix}{name}"),
            _column(rows, f"{PREDICTED_PREFIX}{name}"),
            patients,
        )
        for name in problem.classes
    ]


def _scored(
    summary: Summary,
    metric: MetricConfig,
    outputs: Sequence[Output],
    *,
    problem: Problem,
    bootstrap: Bootstrap | None,
) -> dict[str, Score]:
    """The scores of a metric by name: means over the outputs first, then those of each; these also into `classes`."""
    drawn = [resampled_output(metric, one, bootstrap) for one in outputs]
    found: dict[str, Score] = {}
    for name in drawn[0]:
        values = np.stack([each[name] for each in drawn], axis=1)
        mean = mean_of_defined(values)
        if isinstance(metric, NumberMetric) and not metric.averages(problem):
            mean = np.full(len(values), np.nan)
        found[name] = _noted(score(float(mean[0]), mean, bootstrap), metric, UNITS_DIFFER if np.isnan(mean[0]) else "")
        for number, one in enumerate(outputs):
            own = _closed(metric, one, bootstrap) or score(float(values[0, number]), values[:, number], bootstrap)
            summary["classes"][one.name]["scores"][name] = _noted(own, metric)
            if len(outputs) > 1:
                found[f"{name}_{one.name}"] = own
            else:
                found[name] = own
    return found


def resampled_output(metric: MetricConfig, one: Output, bootstrap: Bootstrap | None) -> Mapping[str, Floats]:
    """The values (1 + R + G,) of a metric by name, in each weighting of the patients; (1,) without a bootstrap."""
    if bootstrap is None:
        return _weighted(metric, one, np.ones((1, len(one.truth))))
    owner, num_patients = owners(one.patients)
    pieces = [
        _weighted(metric, one, weights[:, owner])
        for weights in bootstrap.weightings(num_patients, max(1, CHUNK_WEIGHTS // len(owner)))
    ]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _weighted(metric: MetricConfig, one: Output, weights: Floats) -> Mapping[str, Floats]:
    known = one.known
    weights = weights[:, known]
    if isinstance(metric, NumberMetric):
        return metric.weighted(one.truth[known], one.answers[known], weights)
    assert isinstance(metric, CohortMetric)
    if not known.any():
        return {metric.column: np.full(len(weights), np.nan)}
    seen = one.decisions(metric)
    values = metric.weighted(seen.truth, seen.probabilities, classes=seen.classes, weights=weights)
    return {metric.column: values[_own(metric, one, values)]}


def _own(metric: MetricConfig, one: Output, values: Mapping[str, Any]) -> str:
    """The name of the finding's own score among those of its two classes."""
    named = f"{metric.column}_{one.name}"
    return named if named in values else metric.column


def _closed(metric: MetricConfig, one: Output, bootstrap: Bootstrap | None) -> Score | None:
    """The score of a finding with an interval by formula, where there is one and the method is `auto`."""
    if bootstrap is None or bootstrap.method != "auto" or not isinstance(metric, CohortMetric) or not one.known.any():
        return None
    seen = one.decisions(metric)
    forms = closed_forms(metric, seen, level=bootstrap.level)
    name = _own(metric, one, forms)
    if name not in forms:
        return None
    once = np.ones((1, len(one.truth)))
    return closed_score(float(_weighted(metric, one, once)[metric.column][0]), forms[name])


def _noted(found: Score, metric: MetricConfig, reason: str = "") -> Score:
    """The score, with a word on why it is undefined where it is."""
    if found["value"] is None and "note" not in found:
        found["note"] = reason or (f"undefined: {metric.undefined}" if metric.undefined else NOT_DEFINED)
    return found


def _counts(one: Output, number: int, problem: Problem) -> Summary:
    cases = int(one.known.sum())
    if problem.continuous:
        return {"cases": cases, "unit": problem.units[number], "scores": {}}
    return {"cases": cases, "present": int(np.nansum(one.truth)), "scores": {}}


def _never(outputs: Sequence[Output], problem: Problem) -> list[str]:
    """What has to be said of findings that are absent or present everywhere, and of unknown truths."""
    unknown = [f"{one.name} {int((~one.known).sum())}" for one in outputs if not one.known.all()]
    notes = [f"unknown truths, left out: {', '.join(unknown)}"] if unknown else []
    if problem.continuous:
        return notes
    never = [one.name for one in outputs if one.known.any() and not np.nansum(one.truth)]
    always = [one.name for one in outputs if one.known.any() and np.nansum(one.truth) == one.known.sum()]
    told = [("absent from every case", never), ("in every case", always)]
    return [
        *notes,
        *(f"{what}: {', '.join(names)}: out of a mean where undefined" for what, names in told if names),
    ]


def _facts(metric: MetricConfig, problem: Problem) -> Summary:
    """The settings of a metric, which values are better (None: it cannot be said), and the unit of its values."""
    in_unit = isinstance(metric, NumberMetric) and metric.in_unit
    unit = problem.units[0] if in_unit and len(set(problem.units)) == 1 else ""
    better = metric.better if metric.ranks else None
    return {**metric.model_dump(mode="json"), "better": better, "in_unit": False, "unit": unit}


def _column(rows: Sequence[Row], name: str) -> Floats:
    lacking = next((row for row in rows if name not in row), None)
    if lacking is not None:
        there = ", ".join(lacking)
        raise DataError(f"case {lacking['case_id']}: no column '{name}' (columns: {there}); evaluate again")
    values = [np.nan if row[name] is None else float(str(row[name])) for row in rows]
    return np.array(values, dtype=np.float64)
