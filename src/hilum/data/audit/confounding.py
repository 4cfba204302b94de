"""What goes together with the label, or with the part: a network may learn that instead of the disease."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.case import Case
from hilum.data.audit.columns import Column, family, is_group, is_number, numbers, restates
from hilum.data.audit.statistics import Association, cramers_v, holm, rank_difference
from hilum.errors import Finding

NOTICEABLE = 0.1
"""Effects below this are not reported: V, 2 AUC - 1 or the root of epsilon squared (Cohen 1988: a small effect)."""
STRENGTHS = ((0.5, "strong"), (0.3, "moderate"), (0.0, "weak"))
SIGNIFICANT = 0.05
"""P values above this, once corrected for the number of columns, are not reported."""
SHOWN_VALUES = 3


@dataclass(frozen=True)
class Tested:
    """A column, how strongly it goes with the label (or part), its corrected p value, and the counts in words."""

    column: str
    association: Association
    p: float
    words: str

    @property
    def reported(self) -> bool:
        """Whether it is strong and unlikely enough to be told."""
        return self.association.effect >= NOTICEABLE and self.p <= SIGNIFICANT


def tested(cases: Sequence[Case], targets: Mapping[str, str], columns: Mapping[str, Column]) -> list[Tested]:
    """Every column that can be compared with the targets (by case id), the strongest first; of numbers within one text,
    such as the axes of a spacing, the strongest alone.

    Patients count once, shared between their images, so that ten scans of one patient are no ten pieces of evidence.
    """
    known = [case for case in cases if case.id in targets]
    raw: list[tuple[str, Association, str]] = []
    for name, column in columns.items():
        if is_number(column, known):
            measured = numbers(column)
            raw.append((name, *_compared(known, targets, measured)))
            given = {case.id: "yes" if case.id in measured else "no" for case in known}
            if len(set(given.values())) > 1:
                raw.append((f"whether {name} is given", *_counted(known, targets, given)))
        elif is_group(column, known):
            raw.append((name, *_counted(known, targets, column)))
    corrected = holm([association.p for _, association, _ in raw])
    results = [
        Tested(name, association, p, words) for (name, association, words), p in zip(raw, corrected, strict=True)
    ]
    strongest: dict[str, Tested] = {}
    for test in sorted(results, key=lambda test: (-test.association.effect, test.p)):
        strongest.setdefault(family(test.column), test)
    return list(strongest.values())


def not_compared(cases: Sequence[Case], columns: Mapping[str, Column]) -> list[str]:
    """The names of columns of which nothing can be said: texts with too many different values to be groups."""
    return [name for name, column in columns.items() if not is_number(column, cases) and not is_group(column, cases)]


def label_findings(
    cases: Sequence[Case], labels: Mapping[str, str], columns: Mapping[str, Column]
) -> Iterator[Finding]:
    """Columns that go together with the label, and those that say the label in other words."""
    known = {name: column for name, column in columns.items() if restates(column, labels)}
    for name in known:
        yield Finding(
            "warning",
            "column restates the label",
            received=f"'{name}' says the label in other words",
            expected="something that is known before the diagnosis",
            fix="never stratify or predict by it",
        )
    patients = len({case.patient for case in cases if case.id in labels})
    for test in tested(cases, labels, {name: column for name, column in columns.items() if name not in known}):
        if test.reported:
            yield Finding(
                "warning",
                "goes together with the label",
                received=f"{test.column} ({_told(test)}, {patients} patients): {test.words}",
                expected=f"an effect below {NOTICEABLE:g}",
                fix="a network may learn this instead: compare scores within each group, or balance the groups",
            )


def part_findings(cases: Sequence[Case], parts: Mapping[str, str], columns: Mapping[str, Column]) -> Iterator[Finding]:
    """Columns (the label may be one) that are divided unevenly between the parts."""
    if len(set(parts.values())) < 2:
        return
    for test in tested(cases, parts, columns):
        if test.reported:
            yield Finding(
                "warning",
                "parts differ",
                received=f"{test.column} ({_told(test)}): {test.words}",
                expected="the same in all parts",
                fix="stratify the split by it, or say in reports that the parts differ",
            )


def counts(
    cases: Sequence[Case], targets: Mapping[str, str], column: Column
) -> tuple[npt.NDArray[np.float64], list[str], list[str]]:
    """Patients by target (rows) and value (columns), and the names of both; a patient's images share its one count."""
    rows = list(dict.fromkeys(sorted(targets[case.id] for case in cases)))
    values = list(dict.fromkeys(sorted(column[case.id] for case in cases)))
    scans: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        scans[case.patient].append(case)
    table = np.zeros((len(rows), len(values)))
    for own in scans.values():
        for case in own:
            table[rows.index(targets[case.id]), values.index(column[case.id])] += 1 / len(own)
    return table, rows, values


def _counted(cases: Sequence[Case], targets: Mapping[str, str], column: Column) -> tuple[Association, str]:
    table, rows, values = counts(cases, targets, column)
    return cramers_v(table), _in_words(table, rows, values)


def _compared(
    cases: Sequence[Case], targets: Mapping[str, str], values: Mapping[str, float]
) -> tuple[Association, str]:
    """Numbers compared between targets: a patient counts once for each, with the mean of its images."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for case in cases:
        if case.id in values:
            found[targets[case.id]][case.patient].append(values[case.id])
    groups = {target: np.array([np.mean(own) for own in people.values()]) for target, people in sorted(found.items())}
    words = ", ".join(f"median {np.median(group):.6g} in {target}" for target, group in groups.items())
    return rank_difference(list(groups.values())), words


def _in_words(table: npt.NDArray[np.float64], rows: Sequence[str], values: Sequence[str]) -> str:
    """The values that differ most: "AP 78 % of pneumonia, 31 % of no_finding"."""
    shares = 100 * table / table.sum(axis=1, keepdims=True)
    order = np.argsort(-np.ptp(shares, axis=0), kind="stable")[: 1 if len(values) == 2 else SHOWN_VALUES]
    return "; ".join(
        f"{values[index]} " + ", ".join(f"{shares[row, index]:.0f} % of {name}" for row, name in enumerate(rows))
        for index in order
    )


def _told(test: Tested) -> str:
    strength = next(name for least, name in STRENGTHS if test.association.effect >= least)
    return f"{strength}: {test.association.told}, p {'< 1e-12' if test.p < 1e-12 else f'{test.p:.1g}'}"
