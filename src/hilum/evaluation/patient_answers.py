"""From the findings or numbers of a patient's cases to one row a patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hilum.errors import DataError
from hilum.evaluation.decision import settled
from hilum.evaluation.rows import PREDICTED_PREFIX, PROBABILITY_PREFIX, TRUTH_PREFIX, answer_cells
from hilum.problem import IGNORE

if TYPE_CHECKING:
    from hilum.evaluation.decide_section import DecideConfig, Labels
    from hilum.evaluation.decision import Points
    from hilum.problem import Problem
    from hilum.targets import Vector

ROUNDING = 1e-9
"""Numbers of one patient that differ by less than this share are the same."""


def patient_answers(
    rows: Iterable[Mapping[str, Any]], problem: Problem, *, decide: DecideConfig, point: Points | None = None
) -> list[dict[str, Any]]:
    """A row a patient: `patient_id`, `cases`, and p_NAME and predicted_NAME of each finding, or each number.

    In the order in which the patients first occur; with `part` and truth_NAME where the rows of the cases have them.
    Raises DataError where the truths of a patient's cases do not agree as the section wants.
    """
    assert decide.patient is not None
    prefix = PREDICTED_PREFIX if problem.continuous else PROBABILITY_PREFIX
    by_patient: dict[str, list[Mapping[str, Any]]] = {}
    for case in rows:
        by_patient.setdefault(str(case["patient_id"]), []).append(case)
    found: list[dict[str, Any]] = []
    for patient, own in by_patient.items():
        row: dict[str, Any] = {
            "patient_id": patient,
            **({"part": own[0]["part"]} if "part" in own[0] else {}),
            "cases": len(own),
        }
        for name in problem.classes:
            column = f"{TRUTH_PREFIX}{name}"
            if column in own[0]:
                known = [float(case[column]) for case in own if case[column] is not None]
                row[column] = answer_truth(patient, name, known, rule=decide.patient.labels)
        values = np.array([[case[f"{prefix}{name}"] for name in problem.classes] for case in own], dtype=np.float64)
        together = values.mean(axis=0) if problem.continuous else decide.patient.aggregate.of_findings(values)
        found.append(settled(row | answer_cells(together, problem), point, problem))
    return found


def answer_truth(patient: str, name: str, known: Sequence[float], *, rule: Labels) -> float | None:
    """The true finding (1 or 0) or number of a patient from what is known of the cases; None where nothing is.

    Raises DataError where the rule gives none.
    """
    if not known:
        return None
    low, high, mean = min(known), max(known), sum(known) / len(known)
    if rule == "mean":
        return mean
    if high - low <= ROUNDING * max(abs(low), abs(high)):
        return known[0]
    if rule == "any":
        return high
    if rule == "majority" and mean != 1 / 2:
        return float(mean > 1 / 2)
    wanted = {
        "same": "the same in all; declare another rule with decide.patient.labels",
        "majority": "more cases with it than without it, or fewer",
    }
    received = ", ".join(f"{value:g}" for value in known)
    raise DataError(f"patient {patient}: {name}: received {received}, expected {wanted[rule]}")


def answer_faults(labels: Iterable[tuple[str, Vector]], problem: Problem, *, rule: Labels) -> list[str]:
    """What is wrong with the truths of patients, from the patient and the findings or numbers of each case."""
    by_patient: dict[str, list[Vector]] = {}
    for patient, values in labels:
        by_patient.setdefault(patient, []).append(values)
    faults = []
    for patient, own in by_patient.items():
        for name, column in zip(problem.classes, np.stack(own).T, strict=True):
            known = column[~np.isnan(column)] if problem.continuous else column[column != IGNORE]
            try:
                answer_truth(patient, name, known.astype(np.float64).tolist(), rule=rule)
            except DataError as error:
                faults.append(str(error))
    return faults
