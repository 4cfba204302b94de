"""Scores of groups of cases: the rows that share a value in a column, summarised like all of them together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hilum.errors import DataError
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

    Raises DataError as `summarise` does.
    """
    by: Summary = {}
    notes = list(summary["notes"])
    for column in columns:
        groups = grouped(rows, column)
        by[column] = {}
        for value, members in groups.items():
            entry = summarise(members, problem, metrics=metrics, bootstrap=bootstrap)
            entry["notes"] = [note for note in entry["notes"] if note not in notes]
            by[column][value] = {key: entry[key] for key in KEPT}
        if len(groups) > 1:
            notes.append(OTHER_PATIENTS.format(column))
    return {**summary, "notes": notes, "by": by} if by else summary
