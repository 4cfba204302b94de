"""From the rows of a patient's cases to one row a patient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hilum.errors import DataError, number_of
from hilum.evaluation.decision import OperatingPoint, decided
from hilum.evaluation.rows import PROBABILITY_PREFIX

if TYPE_CHECKING:
    from hilum.evaluation.decide_section import DecideConfig, Labels
    from hilum.problem import Problem


def patient_rows(
    rows: Iterable[Mapping[str, Any]], problem: Problem, *, decide: DecideConfig, point: OperatingPoint | None = None
) -> list[dict[str, Any]]:
    """A row a patient: `patient_id`, `cases`, `predicted` (by `point`, with its `threshold`) and a `p_NAME` a class.

    In the order in which the patients first occur; with `part` and `truth` where the rows of the cases have them.
    Raises DataError where the true classes of a patient's cases do not agree as the section wants.
    """
    assert decide.patient is not None
    positive = decide.positive_class(problem)
    by_patient: dict[str, list[Mapping[str, Any]]] = {}
    for case in rows:
        by_patient.setdefault(str(case["patient_id"]), []).append(case)
    columns = [f"{PROBABILITY_PREFIX}{name}" for name in problem.classes]
    found: list[dict[str, Any]] = []
    for patient, own in by_patient.items():
        probabilities = np.array([[case[column] for column in columns] for case in own], dtype=np.float64)
        combined = decide.patient.aggregate.combined(probabilities, problem.classes.index(positive))
        row: dict[str, Any] = {
            "patient_id": patient,
            **({"part": own[0]["part"]} if "part" in own[0] else {}),
            "cases": len(own),
        }
        if "truth" in own[0]:
            labels = [str(case["truth"]) for case in own]
            row["truth"] = patient_truth(patient, labels, rule=decide.patient.labels, positive=positive)
        row |= dict(zip(columns, combined.tolist(), strict=True))
        found.append(decided(row, point, problem.classes))
    return found


def patient_truth(patient: str, labels: Sequence[str], *, rule: Labels, positive: str) -> str:
    """The true class of a patient from those of the cases. Raises DataError where the rule gives none."""
    counts = Counter(labels).most_common()
    if len(counts) == 1:
        return counts[0][0]
    if rule == "any" and positive in labels:
        return positive
    if rule == "majority" and counts[0][1] > counts[1][1]:
        return counts[0][0]
    received = ", ".join(f"{number_of(count, 'case')} of {name}" for name, count in counts)
    wanted = {
        "same": "one class for all; declare another rule with decide.patient.labels: any or majority",
        "any": f"one of them to be {positive}, or one class for all",
        "majority": "one class to have more cases than every other",
    }
    raise DataError(f"patient {patient}: received {received}, expected {wanted[rule]}")


def label_faults(labels: Iterable[tuple[str, str]], *, rule: Labels, positive: str) -> list[str]:
    """What is wrong with the true classes of patients, from the patient and the class of each case."""
    by_patient: dict[str, list[str]] = {}
    for patient, label in labels:
        by_patient.setdefault(patient, []).append(label)
    faults = []
    for patient, own in by_patient.items():
        try:
            patient_truth(patient, own, rule=rule, positive=positive)
        except DataError as error:
            faults.append(str(error))
    return faults
