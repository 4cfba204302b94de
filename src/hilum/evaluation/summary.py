"""Means, intervals, misses and inventions, from rows alone."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from hilum.errors import ConfigError, DataError, number_of
from hilum.evaluation.by_image import by_image
from hilum.evaluation.by_output import by_output
from hilum.evaluation.decision import sees_decisions_only
from hilum.evaluation.intervals import Bootstrap, resampled_means
from hilum.evaluation.penalties import penalties
from hilum.evaluation.rows import PROBABILITY_PREFIX
from hilum.evaluation.scores import classifier_scores, flat_note, instability, score
from hilum.metrics.base import CaseMetric, CohortMetric, check_columns
from hilum.metrics.confusion import confusion, mean_of_defined, ratio
from hilum.metrics.pair import NOT_IN_TRUTH, STATUSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from hilum.evaluation.rows import Row
    from hilum.metrics.base import MetricConfig
    from hilum.problem import Problem

    Floats = npt.NDArray[np.float64]
    Summary = dict[str, Any]

ONE_CLASS = "undefined: only one class present"
CLASS_NEVER = "undefined: its class never occurs"
ONE_PATIENT = "one patient: no interval"
CLOSED = "; areas under the ROC curve by DeLong and Obuchowski, shares of cases by Wilson, both by patient"
BOOTSTRAP = Bootstrap()
UNITS_MIXED = "some cases are in mm and some in pixels: their distances and tolerances are not comparable"


def summarise(
    rows: Sequence[Row],
    problem: Problem,
    *,
    metrics: Sequence[MetricConfig],
    notes: Sequence[str] = (),
    bootstrap: Bootstrap | None = BOOTSTRAP,
) -> Summary:
    """The summary of rows as `summary.json` holds it; `overall` maps every score to its value and interval.

    `notes` are passed on. `bootstrap=None` leaves out the intervals. Raises DataError for rows that do not belong to
    the problem, that lack a score, or that hold a case twice.
    """
    if not rows:
        raise DataError("received no rows, expected at least one scored case")
    check_columns(metrics)
    patients = {str(row["case_id"]): str(row["patient_id"]) for row in rows}
    alone = len(set(patients.values())) == 1
    summary: Summary = {"task": problem.kind, "patients": len(set(patients.values())), "cases": len(patients)}
    summary["interval"] = None if bootstrap is None or alone else _described(bootstrap, problem)
    summary["notes"] = [*notes, *([ONE_PATIENT] if bootstrap is not None and alone else [])]
    summary = _of_kind(summary, rows, problem=problem, metrics=metrics, bootstrap=None if alone else bootstrap)
    scores = dict(summary["overall"])
    if problem.kind == "segmentation":
        found = summary["classes"].items()
        scores |= {f"{score} of {name}": entry[score] for name, entry in found for score in summary["overall"]}
    note = flat_note(scores)
    summary["notes"] += [note] if note else []
    return summary


def _of_kind(
    summary: Summary,
    rows: Sequence[Row],
    *,
    problem: Problem,
    metrics: Sequence[MetricConfig],
    bootstrap: Bootstrap | None,
) -> Summary:
    """The summary with the scores of a task of this kind."""
    if problem.kind == "segmentation":
        case_metrics = [metric for metric in metrics if isinstance(metric, CaseMetric)]
        return _segmentation(summary, rows, problem=problem, metrics=case_metrics, bootstrap=bootstrap)
    if problem.kind == "restoration":
        return by_image(summary, rows, metrics, bootstrap)
    if problem.kind != "classification":
        return by_output(summary, rows, problem=problem, metrics=metrics, bootstrap=bootstrap)
    cohort_metrics = [metric for metric in metrics if isinstance(metric, CohortMetric)]
    return _classification(summary, rows, problem=problem, metrics=cohort_metrics, bootstrap=bootstrap)


def overall(summary: Summary) -> dict[str, float]:
    """The value of every score over the whole cohort, by name; NaN where undefined."""
    values = {name: score["value"] for name, score in summary["overall"].items()}
    return {name: float("nan") if value is None else value for name, value in values.items()}


def _segmentation(
    summary: Summary,
    rows: Sequence[Row],
    *,
    problem: Problem,
    metrics: Sequence[CaseMetric],
    bootstrap: Bootstrap | None,
) -> Summary:
    values, patients = case_values(rows, problem, metrics)
    drawn = None if bootstrap is None else resampled_means(values, patients, bootstrap)
    units = sorted({str(row["unit"]) for row in rows})
    summary["unit"] = units[0] if len(units) == 1 else "mixed"
    summary["notes"] += [penalties(metrics), *([UNITS_MIXED] if len(units) > 1 else [])]
    summary["notes"] += _left_out(values, metrics)
    summary["metrics"] = {metric.column: _facts(metric, summary["unit"]) for metric in metrics}
    means = _means(values)
    summary["overall"] = {}
    for position, metric in enumerate(metrics):
        resampled = None if drawn is None else mean_of_defined(drawn[:, :, position])
        over_classes = float(mean_of_defined(means[None, :, position])[0])
        summary["overall"][metric.column] = score(over_classes, resampled, bootstrap)
    summary["classes"] = {}
    for number, name in enumerate(problem.foreground):
        found = Counter(str(row["status"]) for row in rows if row["class"] == name)
        entry: dict[str, Any] = {"cases": found.total(), **{status: found[status] for status in STATUSES}}
        for position, metric in enumerate(metrics):
            resampled = None if drawn is None else drawn[:, number, position]
            found_score = score(float(means[number, position]), resampled, bootstrap)
            entry[metric.column] = {**found_score, **_spread(values[:, number, position])}
        if any(found[status] for status in NOT_IN_TRUTH):
            entry["where_present"] = _where_present(rows, name, metrics)
        summary["classes"][name] = entry
    return summary


def _where_present(rows: Sequence[Row], name: str, metrics: Sequence[CaseMetric]) -> Summary:
    """Means over the cases whose truth has the structure: rightly empty cases score 1 and would raise them."""
    present = [row for row in rows if row["class"] == name and row["status"] not in NOT_IN_TRUTH]
    means: Summary = {"cases": len(present)}
    for metric in metrics:
        values = np.array([_number(row, metric.column) for row in present], dtype=np.float64)
        defined = values[~np.isnan(values)]
        means[metric.column] = {"value": float(defined.mean()) if defined.size else None, "low": None, "high": None}
    return means


def case_values(rows: Sequence[Row], problem: Problem, metrics: Sequence[CaseMetric]) -> tuple[Floats, list[str]]:
    """Scores (N, classes, metrics), NaN where a row has none, and the patient of each of the N cases."""
    patients = {str(row["case_id"]): str(row["patient_id"]) for row in rows}
    place = {case: number for number, case in enumerate(patients)}
    values = np.full((len(place), len(problem.foreground), len(metrics)), np.nan)
    seen: set[tuple[str, str]] = set()
    for row in rows:
        case, name = str(row["case_id"]), str(row.get("class"))
        if name not in problem.foreground or (case, name) in seen:
            what = "occurs twice" if (case, name) in seen else f"expected one of {', '.join(problem.foreground)}"
            raise DataError(f"case {case}: class '{name}': {what}")
        seen.add((case, name))
        at = place[case], problem.foreground.index(name)
        values[at] = [_number(row, metric.column) for metric in metrics]
    if len(seen) < len(place) * len(problem.foreground):
        raise DataError(
            f"received {len(seen)} rows of {len(place)} cases, expected one for each foreground class of each"
        )
    return values, list(patients.values())


def _classification(
    summary: Summary,
    rows: Sequence[Row],
    *,
    problem: Problem,
    metrics: Sequence[CohortMetric],
    bootstrap: Bootstrap | None,
) -> Summary:
    if summary["cases"] != len(rows):
        raise DataError(f"received {len(rows)} rows of {summary['cases']} cases, expected one row a case")
    truth, predicted = (
        np.array([_class_number(row, problem, column) for row in rows], dtype=np.int64)
        for column in ("truth", "predicted")
    )
    columns = [f"{PROBABILITY_PREFIX}{name}" for name in problem.classes]
    probabilities = np.array([[_number(row, column) for column in columns] for row in rows])
    decisions = np.eye(len(problem.classes))[predicted]  # by the operating point: not always the highest probability
    sizes = np.bincount(truth, minlength=len(problem.classes))
    summary["classes"] = {name: {"cases": int(size)} for name, size in zip(problem.classes, sizes, strict=True)}
    unseen = [name for name, size in zip(problem.classes, sizes, strict=True) if not size]
    if unseen:
        summary["notes"].append(f"no case of {', '.join(unseen)}: left out of scores that are means over the classes")
    summary["confusion"] = confusion(truth, decisions, np.ones((1, len(truth))))[0].astype(int).tolist()
    summary["metrics"] = {metric.column: _facts(metric) for metric in metrics}
    summary["overall"] = {}
    for metric in metrics:
        given = decisions if sees_decisions_only(metric, problem.classes) else probabilities
        scores = classifier_scores(
            metric,
            truth,
            probabilities=given,
            classes=problem.classes,
            patients=[str(row["patient_id"]) for row in rows],
            bootstrap=bootstrap,
        )
        for name, found in scores.items():
            if name in summary["overall"]:
                raise ConfigError(f"metrics: two of them write '{name}'; rename the class or leave one of them out")
            summary["overall"][name] = found
            summary["notes"] += [note for note in [instability(name, found, bootstrap)] if note]
            if found["value"] is None:
                one_class = ONE_CLASS if np.count_nonzero(sizes) == 1 else CLASS_NEVER
                found["note"] = f"undefined: {metric.undefined}" if metric.undefined else one_class
    return summary


def _class_number(row: Row, problem: Problem, column: str) -> int:
    name = str(row.get(column))
    if name not in problem.classes:
        what = "true" if column == "truth" else column
        raise DataError(f"case {row['case_id']}: {what} class '{name}', expected one of {', '.join(problem.classes)}")
    return problem.classes.index(name)


def _number(row: Row, column: str) -> float:
    if column not in row:
        raise DataError(f"case {row['case_id']}: no column '{column}' (columns: {', '.join(row)}); evaluate again")
    value = row[column]
    return float("nan") if value is None else float(value)


def _described(bootstrap: Bootstrap, problem: Problem) -> Summary:
    resampled = "percentile" if bootstrap.method == "percentile" else "BCa"
    closed = bootstrap.method == "auto" and problem.kind in ("classification", "multilabel")
    return {
        "method": f"{resampled} bootstrap of patients" + (CLOSED if closed else ""),
        "level": bootstrap.level,
        "resamples": bootstrap.resamples,
        "seed": bootstrap.seed,
    }


def _facts(metric: MetricConfig, unit: str = "") -> Summary:
    """The settings of a metric, which values are better (None: it cannot be said), and the unit of its values."""
    measures = metric.measures if isinstance(metric, CaseMetric) else "share"
    units = {"length": unit, "volume": "ml" if unit == "mm" else unit}
    better = metric.better if metric.ranks else None
    return {
        **metric.model_dump(mode="json"),
        "better": better,
        "in_unit": measures == "length",
        "unit": units.get(measures, ""),
    }


def _left_out(values: Floats, metrics: Sequence[CaseMetric]) -> list[str]:
    """Which scores are undefined for how many structures of (N, classes, metrics), and why."""
    missing = np.isnan(values).sum(axis=(0, 1))
    return [
        f"{metric.column}: undefined in {number_of(int(number), 'row')}, left out of its mean"
        + (f": {metric.undefined}" if metric.undefined else "")
        for metric, number in zip(metrics, missing, strict=True)
        if number
    ]


def _spread(values: Floats) -> Summary:
    """Median and standard deviation of the defined values, and how many are not."""
    defined = values[~np.isnan(values)]
    return {
        "median": float(np.median(defined)) if defined.size else None,
        "std": float(np.std(defined, ddof=1)) if defined.size > 1 else None,
        "undefined": int(values.size - defined.size),
    }


def _means(values: Floats) -> Floats:
    """Means over the cases (classes, metrics) of (N, classes, metrics), without NaN values; NaN where all are."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0).sum(axis=0), defined.sum(axis=0).astype(np.float64))
