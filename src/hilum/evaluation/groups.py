"""Scores of groups of cases: the rows that share a value in a column, summarised like all of them together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hilum.errors import DataError
from hilum.evaluation.rows import GROUP_PREFIX
from hilum.evaluation.summary import BOOTSTRAP, summarise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hilum.evaluation.intervals import Bootstrap
    from hilum.evaluation.rows import Row
    from hilum.metrics.base import MetricConfig
    from hilum.problem import Problem

    Summary = dict[str, Any]

KEPT = ("patients", "cases", "notes", "overall", "classes")
"""What is told of a group; the rest is as for all cases together."""
OTHER_PATIENTS = "groups by {}: other patients in each, so a difference may come from the patients"


def grouped(rows: Sequence[Row], column: str) -> dict[str, list[Row]]:
    """The rows of each value of a column, that of most patients first, then by name.

    Raises DataError where a row has no such column.
    """
    found: dict[str, list[Row]] = {}
    for row in rows:
        if column not in row:
            raise DataError(f"case {row['case_id']}: no column '{column}' (columns: {', '.join(row)}); evaluate again")
        found.setdefault(str(row[column]), []).append(row)
    return dict(sorted(found.items(), key=lambda group: (-len({row["patient_id"] for row in group[1]}), group[0])))


def with_groups(
    summary: Summary,
    rows: Sequence[Row],
    problem: Problem,
    *,
    columns: Sequence[str],
    metrics: Sequence[MetricConfig],
    bootstrap: Bootstrap | None = BOOTSTRAP,
) -> Summary:
    """The summary of rows with `by`: for each of the columns, patients, cases and scores of each of its values.

    `worst` names the group of the worst value of each score. A column loses its prefix `by_`.

    Raises DataError as `summarise` does.
    """
    by: Summary = {}
    notes = list(summary["notes"])
    for column in columns:
        groups = grouped(rows, column)
        name = column.removeprefix(GROUP_PREFIX)
        by[name] = {}
        for value, members in groups.items():
            entry = summarise(members, problem, metrics=metrics, bootstrap=bootstrap)
            entry["notes"] = [note for note in entry["notes"] if note not in notes]
            by[name][value] = {key: entry[key] for key in KEPT}
        if len(groups) > 1:
            notes.append(OTHER_PATIENTS.format(name))
    worst = {name: found for name, groups in by.items() if (found := worst_groups(groups, summary["metrics"]))}
    return {**summary, "notes": notes, "by": by, "worst": worst} if by else summary


def worst_groups(groups: Summary, metrics: Summary) -> Summary:
    """By score, the group of the worst value, with its size and interval; nothing where fewer than two have a value.

    Groups of a single patient are passed over: they are told by their own row. Of equal ones the larger is named.
    """
    worst: Summary = {}
    for score, facts in metrics.items():
        known = {
            value: entry
            for value, entry in groups.items()
            if entry["patients"] > 1 and entry["overall"][score]["value"] is not None
        }
        if len(known) < 2 or facts["better"] is None:
            continue
        sign = 1.0 if facts["better"] == "higher" else -1.0
        value = min(known, key=lambda name: (sign * known[name]["overall"][score]["value"], -known[name]["patients"]))
        sizes = {size: known[value][size] for size in ("patients", "cases")}
        worst[score] = {"group": value, **sizes, **known[value]["overall"][score]}
    return worst
