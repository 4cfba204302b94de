"""What the section `decide` adds to an evaluation: what was chosen on validation, reliability, scores by patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hilum.errors import number_of
from hilum.evaluation.decision import FindingPoints, settled
from hilum.evaluation.patient_answers import patient_answers
from hilum.evaluation.patients import patient_rows
from hilum.evaluation.reliability import reliability_of_rows
from hilum.evaluation.rows import Row
from hilum.evaluation.summary import summarise
from hilum.report.reliability import reliability_diagram
from hilum.run import Run

if TYPE_CHECKING:
    from hilum.pipeline.restore import Restored

PATIENT_LEVEL = ("patients", "interval", "notes", "overall", "classes", "confusion")
"""What a summary tells of the level of patients; the rest is as for cases."""


def decided_rows(rows: Sequence[Row], restored: Restored) -> list[Row]:
    """The rows of cases with `predicted` and `threshold` as the run's operating point says; unchanged without one."""
    point = restored.decision.of_cases
    if point is None:
        return list(rows)
    return [settled(row, point, restored.problem) for row in rows]


def patients_of(rows: Sequence[Mapping[str, Any]], restored: Restored) -> list[dict[str, Any]]:
    """A row a patient from rows of cases, true classes or not; none where the experiment does not ask for patients."""
    decide = restored.experiment.decide
    problem, point = restored.problem, restored.decision.of_patients
    if decide.patient is None:
        return []
    if problem.kind != "classification":
        return patient_answers(rows, problem, decide=decide, point=point)
    assert not isinstance(point, FindingPoints)
    return patient_rows(rows, problem, decide=decide, point=point)


def with_decisions(
    summary: Mapping[str, Any], rows: Sequence[Row], *, run: Run, part: str, restored: Restored
) -> dict[str, Any]:
    """The summary of a part with what was chosen on validation, the numbers of its reliability and the patient level.

    Writes patients.csv, and the reliability diagram of a classification, into the run. Raises DataError where the
    truths of a patient's cases do not agree.
    """
    told, decide = dict(summary), restored.experiment.decide
    if restored.decision.facts:
        told["chosen_on_validation"] = dict(restored.decision.facts)
    if restored.problem.dense:
        return told
    if restored.problem.kind == "classification":
        told["reliability"] = reliability_of_rows(rows, restored.problem)
        reliability_diagram({part: told["reliability"]}, run.folder / f"reliability_{part}.png")
    if decide.patient is None and told["patients"] < told["cases"]:
        many = f"{number_of(told['cases'], 'case')} of {number_of(told['patients'], 'patient')}"
        told["notes"] = [*told["notes"], f"{many}, each case counts; decide.patient scores patients as well"]
    if decide.patient is None:
        return told
    run.write_rows(patients_of(rows, restored), part, table=run.patients)
    settings = decide.patient.model_dump(mode="json")
    return {**told, "patient_level": settings | _level(run.read_rows(part, table=run.patients), restored)}


def _level(rows: Sequence[Row], restored: Restored) -> dict[str, Any]:
    """Every score by patient, from the rows of patients.csv."""
    named = [{"case_id": row["patient_id"], **row} for row in rows]
    summary = summarise(
        named,
        restored.problem,
        metrics=restored.experiment.metrics,
        bootstrap=restored.experiment.evaluate.bootstrap,
    )
    return {key: summary[key] for key in PATIENT_LEVEL if key in summary}
