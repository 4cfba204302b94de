"""What a split balances where labels are no classes: the quarters of a number, the rarest finding of a patient."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from hilum.case import Case
from hilum.errors import DataError
from hilum.problem import Problem
from hilum.targets import findings, numbers

QUARTERS = 4
NO_FINDING = "none"
UNKNOWN = "unknown"


def quarters(cases: Sequence[Case], problem: Problem) -> dict[str, str]:
    """By case id, the quarter that the mean of the first number of its patient is in; labels that are none count not.

    All cases of a patient are in one quarter.
    """
    own: dict[str, list[float]] = defaultdict(list)
    for case in cases:
        value = _first_number(case, problem)
        if not np.isnan(value):
            own[case.patient].append(value)
    means = {patient: float(np.mean(sorted(values))) for patient, values in own.items()}
    if not means:
        return {}
    inner = np.linspace(0, 1, QUARTERS + 1)[1:-1]
    edges = np.unique(np.quantile(list(means.values()), inner, method="higher"))
    named = {patient: f"quarter {np.searchsorted(edges, mean, side='right') + 1}" for patient, mean in means.items()}
    return {case.id: named.get(case.patient, UNKNOWN) for case in cases}


def rarest_findings(cases: Sequence[Case], problem: Problem) -> dict[str, str]:
    """By case id, of the findings that its patient has in any image, the one that fewest patients have.

    A part then gets its share of each finding, of the rare ones above all, as in the iterative stratification of
    Sechidis et al. 2011 (doi:10.1007/978-3-642-23808-6_10).
    """
    present: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        present[case.patient] |= _present(case, problem)
    counts = Counter(name for names in present.values() for name in names)
    order = {name: (counts[name], number) for number, name in enumerate(problem.classes)}
    rarest = {patient: min(names, key=order.__getitem__, default=NO_FINDING) for patient, names in present.items()}
    return {case.id: rarest[case.patient] for case in cases if case.label is not None}


def _first_number(case: Case, problem: Problem) -> float:
    try:
        return float(numbers(case.label, problem)[0]) if isinstance(case.label, str | tuple) else float("nan")
    except DataError:  # said where the label is read
        return float("nan")


def _present(case: Case, problem: Problem) -> set[str]:
    if not isinstance(case.label, str | tuple):
        return set()
    try:
        found = findings(case.label, problem)
    except DataError:  # said where the label is read
        return set()
    return {name for name, value in zip(problem.classes, found, strict=True) if value == 1}
