"""What labels in a table say that the task does not know."""

from __future__ import annotations

from collections.abc import Iterator

from hilum.case import Cohort
from hilum.errors import DataError
from hilum.problem import Problem
from hilum.targets import encoded_label

SHOWN = 20
"""How many of many such labels are told."""


def label_faults(cohort: Cohort, problem: Problem) -> Iterator[tuple[str, str]]:
    """What is wrong with labels that are texts, each fault once and with the key of `task` to compare it with."""
    if problem.dense:
        return
    labels = {case.label for case in cohort.cases if isinstance(case.label, str | tuple)}
    said: dict[str, None] = {}
    for label in sorted(labels, key=str):
        try:
            encoded_label(label, problem)
        except DataError as error:
            said[str(error)] = None
    where = "targets" if problem.continuous else "classes"
    yield from ((where, message) for message in list(said)[:SHOWN])
