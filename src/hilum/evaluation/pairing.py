"""Scores of the same cases by several methods: what has to be equal before their differences mean anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hilum.errors import DataError, number_of
from hilum.evaluation.by_image import INPUT_SUFFIX
from hilum.evaluation.rows import TRUTH_PREFIX

if TYPE_CHECKING:
    from hilum.evaluation.rows import Row
    from hilum.metrics.base import MetricConfig
    from hilum.problem import Problem

SHOWN = 5
"""How many of many patients a message names."""
TRUTH = ("truth", "truth_voxels")
"""Columns that hold the truth: the class of a case, or the size of a structure. Findings and numbers have their own."""


@dataclass(frozen=True)
class Scored:
    """The rows of one part of a scored folder, and what they are about."""

    name: str
    rows: tuple[Row, ...]
    problem: Problem
    metrics: tuple[MetricConfig, ...]

    @property
    def patients(self) -> dict[str, str]:
        """The patient of each case id, in the order of the cases."""
        return {str(row["case_id"]): str(row["patient_id"]) for row in self.rows}


def distinct_cases(rows: Sequence[Row]) -> list[Row]:
    """The rows, with a number at the case ids of those that score a case (and class) for a second or later time.

    So do the repeats of a cross-validation: all of them count, and as the patient stays the same, intervals know.
    """
    seen: Counter[tuple[object, object]] = Counter()
    found: list[Row] = []
    for row in rows:
        key = row["case_id"], row.get("class")
        seen[key] += 1
        found.append(row if seen[key] == 1 else {**row, "case_id": f"{row['case_id']} ({seen[key]})"})
    return found


def paired(sides: Sequence[Scored]) -> tuple[list[Scored], list[str]]:
    """The same scores of the same cases of every side, in the same order, and notes on scores that not all have.

    Raises DataError where tasks, classes, patients, cases or truths differ, naming who is missing where, and where no
    score is left.
    """
    first = sides[0]
    for side in sides[1:]:
        _refuse_other_task(first, side)
        _refuse_other_cases(first, side)
        _refuse_other_truth(first, side)
    shared, notes = _shared_metrics(sides)
    order = {key: number for number, key in enumerate(_keyed(first))}
    ordered = [
        replace(side, metrics=shared, rows=tuple(sorted(side.rows, key=lambda row: order[_key(row)]))) for side in sides
    ]
    return ordered, [*notes, *_other_inputs(ordered)]


def _refuse_other_task(first: Scored, other: Scored) -> None:
    for what, one, two in (
        ("the task", first.problem.kind, other.problem.kind),
        ("the classes", ", ".join(first.problem.classes), ", ".join(other.problem.classes)),
        ("the units", ", ".join(first.problem.units), ", ".join(other.problem.units)),
    ):
        if one != two:
            raise DataError(f"{what} of {first.name} and {other.name} differ: {one} and {two}; compare like with like")


def _refuse_other_cases(first: Scored, other: Scored) -> None:
    """Raise DataError where two sides do not score the same cases of the same patients."""
    ours, theirs = first.patients, other.patients
    said = [
        *_missing("patients", set(ours.values()) - set(theirs.values()), has=first, lacks=other),
        *_missing("patients", set(theirs.values()) - set(ours.values()), has=other, lacks=first),
    ] or [
        *_missing("cases", set(ours) - set(theirs), has=first, lacks=other),
        *_missing("cases", set(theirs) - set(ours), has=other, lacks=first),
    ]
    if said:
        raise DataError(f"{'; '.join(said)}: only scores of the same patients can be compared, score both on the same")
    moved = [case for case, patient in ours.items() if theirs[case] != patient]
    if moved:
        raise DataError(
            f"case {moved[0]} is of patient {ours[moved[0]]} in {first.name} and of {theirs[moved[0]]} in "
            f"{other.name}: give both the same table of patients"
        )
    if set(_keyed(first)) != set(_keyed(other)):
        raise DataError(f"{first.name} and {other.name} do not have rows of the same structures; evaluate both again")


def _missing(what: str, lacking: set[str], *, has: Scored, lacks: Scored) -> list[str]:
    if not lacking:
        return []
    named = ", ".join(sorted(lacking)[:SHOWN]) + (", ..." if len(lacking) > SHOWN else "")
    return [f"{lacks.name} lacks {number_of(len(lacking), what[:-1])} that {has.name} has ({named})"]


def _refuse_other_truth(first: Scored, other: Scored) -> None:
    ours, theirs = _keyed(first), _keyed(other)
    columns = [*TRUTH, *(f"{TRUTH_PREFIX}{name}" for name in first.problem.classes)]
    for key, row in ours.items():
        for column in columns:
            if row.get(column) != theirs[key].get(column):
                case = f"case {key[0]}" + (f", {key[1]}" if key[1] else "")
                raise DataError(
                    f"{case}: {column} is {row.get(column)} in {first.name} and {theirs[key].get(column)} in "
                    f"{other.name}: they were scored against different truths"
                )


def _other_inputs(sides: Sequence[Scored]) -> list[str]:
    """A note where a restoration was not given the same images: `data.degrade` draws with the seed of each run."""
    if sides[0].problem.kind != "restoration":
        return []
    columns = [f"{metric.column}{INPUT_SUFFIX}" for metric in sides[0].metrics]
    given = [[[row.get(column) for column in columns] for row in side.rows] for side in sides]
    others = [side.name for side, one in zip(sides, given, strict=True) if one != given[0]]
    return [f"{' and '.join(others)}: not the same input images as {sides[0].name}"] if others else []


def _shared_metrics(sides: Sequence[Scored]) -> tuple[tuple[MetricConfig, ...], list[str]]:
    """The metrics that all sides have with the same settings, and a note on each of the others."""
    by_side = [{metric.column: metric for metric in side.metrics if _is_there(metric, side)} for side in sides]
    shared = tuple(
        metric for column, metric in by_side[0].items() if all(other.get(column) == metric for other in by_side)
    )
    everything = {column for columns in by_side for column in columns}
    left_out = sorted(everything - {metric.column for metric in shared})
    if not shared:
        raise DataError(
            f"no score is the same in {' and '.join(side.name for side in sides)} (there are {', '.join(left_out)}): "
            "evaluate them with the same metrics"
        )
    notes = [f"{column}: not compared, since not all have it with the same settings" for column in left_out]
    return shared, notes


def _is_there(metric: MetricConfig, side: Scored) -> bool:
    """Whether the rows hold what a score needs: a column of its own, or the answers that it is computed from."""
    return side.problem.kind not in ("segmentation", "restoration") or metric.column in side.rows[0]


def _keyed(side: Scored) -> Mapping[tuple[str, str], Row]:
    return {_key(row): row for row in side.rows}


def _key(row: Row) -> tuple[str, str]:
    return str(row["case_id"]), str(row.get("class", ""))
