"""One result of all folds: the rows of every patient by the network that has not seen them, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hilum.errors import number_of
from hilum.evaluation.groups import with_groups
from hilum.evaluation.pairing import distinct_cases
from hilum.evaluation.rows import Row, write_rows
from hilum.evaluation.summary import overall, summarise
from hilum.experiment import Experiment
from hilum.pipeline.by_patient import PATIENT_LEVEL
from hilum.pipeline.group_columns import group_columns
from hilum.pipeline.pictures import draw_outputs
from hilum.problem import Problem
from hilum.run import Run

FOLD = "fold"


Folds = Sequence[tuple[str, Run]]
"""Name and run of each fold."""


def pool(folder: Path, folds: Folds, part: str, *, experiment: Experiment, notes: Sequence[str]) -> dict[str, Any]:
    """The summary of all folds together, after writing cases.csv, summary.json and pictures into `folder`.

    Every row counts, and intervals draw patients, whatever folds their cases were in. `folds` of the summary has the
    scores of each fold alone, their mean and their standard deviation.
    """
    problem, metrics = experiment.provisional_problem(), experiment.metrics
    rows = [_in_fold(row, name) for name, run in folds for row in run.read_rows(part)]
    write_rows(folder / "cases.csv", rows)
    distinct = distinct_cases(rows)
    bootstrap = experiment.evaluate.bootstrap
    said = [*notes, *_notes(rows, distinct, problem, len(folds))]
    summary = summarise(distinct, problem, metrics=metrics, notes=said, bootstrap=bootstrap)
    columns = group_columns(rows)
    summary = with_groups(summary, distinct, problem, columns=columns, metrics=metrics, bootstrap=bootstrap)
    if experiment.decide.patient is not None:
        settings = experiment.decide.patient.model_dump(mode="json")
        summary["patient_level"] = settings | _patients(folder, folds, part, experiment=experiment)
    summary["folds"] = _each(folds, part, experiment=experiment)
    Run(folder).write_summary(summary, part)
    if problem.kind in ("multilabel", "regression"):
        draw_outputs(folder / f"scores_{part}.png", rows, problem)
    return summary


def _in_fold(row: Row, name: str) -> Row:
    """The row with the name of its fold after its part."""
    result: dict[str, Any] = {}
    for column, value in row.items():
        result |= {column: value, FOLD: name} if column == "part" else {column: value}
    return result


def _notes(rows: Sequence[Row], distinct: Sequence[Row], problem: Problem, folds: int) -> list[str]:
    """What has to be said of scores that come from several networks."""
    notes = [f"{folds} networks: each case is scored by one that has not seen its patient"]
    if problem.kind == "classification":
        notes.append("probabilities of several networks are pooled; `folds` of summary.json has each network's scores")
    again = len({row["case_id"] for row in distinct}) - len({row["case_id"] for row in rows})
    if again:
        notes.append(f"{number_of(again, 'score')} of cases that are scored more than once: each time counts as a case")
    return notes


def _each(folds: Folds, part: str, *, experiment: Experiment) -> dict[str, Any]:
    """The scores of each fold alone, and their mean and standard deviation over the folds where they are defined."""
    found: dict[str, dict[str, float]] = {}
    for name, run in folds:
        rows = run.read_rows(part)
        problem = experiment.provisional_problem()
        found[name] = overall(summarise(rows, problem, metrics=experiment.metrics, bootstrap=None))
    together: dict[str, Any] = {"mean": {}, "std": {}}
    for score in next(iter(found.values())):
        values = np.array([scores[score] for scores in found.values()])
        values = values[~np.isnan(values)]
        together["mean"][score] = float(values.mean()) if values.size else None
        together["std"][score] = float(values.std(ddof=1)) if values.size > 1 else None
    shown = {
        name: {score: None if np.isnan(value) else value for score, value in scores.items()}
        for name, scores in found.items()
    }
    return {**together, "each": shown}


def _patients(folder: Path, folds: Folds, part: str, *, experiment: Experiment) -> dict[str, Any]:
    """Every score by patient, from the rows that each fold has of its patients."""
    rows = [_in_fold(row, name) for name, run in folds for row in run.read_rows(part, table=run.patients)]
    write_rows(Run(folder).patients, rows)
    named = distinct_cases([{"case_id": row["patient_id"], **row} for row in rows])
    problem, bootstrap = experiment.provisional_problem(), experiment.evaluate.bootstrap
    summary = summarise(named, problem, metrics=experiment.metrics, bootstrap=bootstrap)
    return {key: summary[key] for key in PATIENT_LEVEL if key in summary}
