"""The summary as lines of text for a terminal or a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hilum.errors import number_of
from hilum.metrics.pair import STATUSES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GAP = "  "
UNDEFINED = "undefined"


def table(summary: Mapping[str, Any]) -> list[str]:
    """Lines that say who was scored, every score with its interval, misses and inventions, and the rules behind."""
    lines = _LINES.get(summary["task"], _outputs)(summary)
    for column, groups in summary.get("by", {}).items():
        lines += ["", *_groups(column, groups), *_worst(column, summary.get("worst", {}).get(column, {}))]
    return [_head(summary), "", *lines, "", *(f"note: {note}" for note in summary["notes"])]


def _head(summary: Mapping[str, Any]) -> str:
    head = f"{number_of(summary['patients'], 'patient')}, {number_of(summary['cases'], 'case')}"
    interval = summary["interval"]
    if interval is None:
        return head
    return (
        f"{head}; in brackets {interval['level']:.0%} intervals from {interval['resamples']} resamples of the patients"
        + ("" if "; " not in interval.get("method", "") else ", or by formula: summary.json says which")
    )


def _segmentation(summary: Mapping[str, Any]) -> list[str]:
    metrics = summary["metrics"]
    titles = [f"{name} ({facts['unit']})" if facts["unit"] else name for name, facts in metrics.items()]
    grid = [["", "cases", *STATUSES, *titles]]
    for name, entry in summary["classes"].items():
        counts = [str(entry[key]) for key in ("cases", *STATUSES)]
        grid.append([name, *counts, *(_shown(entry[metric]) for metric in metrics)])
        present = entry.get("where_present")
        if present is not None:
            shown = [str(present["cases"]), *[""] * len(STATUSES), *(_shown(present[metric]) for metric in metrics)]
            grid.append([f"{name} where present", *shown])
    totals = [str(sum(entry[key] for entry in summary["classes"].values())) for key in ("cases", *STATUSES)]
    grid.append(["mean", *totals, *(_shown(summary["overall"][metric]) for metric in metrics)])
    return aligned(grid, numeric=range(1, 2 + len(STATUSES)))


def _classification(summary: Mapping[str, Any]) -> list[str]:
    sizes = ", ".join(f"{name} {entry['cases']}" for name, entry in summary["classes"].items())
    scores = [[name, _shown(score)] for name, score in summary["overall"].items()]
    level = summary.get("patient_level")
    if level is None:
        return [f"cases a class: {sizes}", "", *aligned(scores, numeric=())]
    both = [[name, shown, _shown(level["overall"][name])] for name, shown in scores]
    patients = ", ".join(f"{name} {entry['cases']}" for name, entry in level["classes"].items())
    aggregate = level["aggregate"]["kind"]
    notes = [f"note: by patient: {note}" for note in level["notes"] if note not in summary["notes"]]
    return [
        f"cases a class: {sizes}; patients a class: {patients}",
        "",
        *aligned([["", "by case", f"by patient ({aggregate} of the cases)"], *both], numeric=()),
        *notes,
    ]


def _outputs(summary: Mapping[str, Any]) -> list[str]:
    """A line for each finding or number, with all its scores, and one for the mean of several."""
    level = summary.get("patient_level")
    by_case = _by_output(summary["classes"], summary["overall"], in_unit=summary["task"] == "regression")
    if level is None:
        return by_case
    notes = [f"note: by patient: {note}" for note in level["notes"] if note not in summary["notes"]]
    lines = _by_output(level["classes"], level["overall"], in_unit=summary["task"] == "regression")
    return [*by_case, "", f"by patient ({level['aggregate']['kind']} of the cases):", *lines, *notes]


def _by_output(entries: Mapping[str, Any], overall: Mapping[str, Any], *, in_unit: bool) -> list[str]:
    counted = [key for key in ("cases", "present") if key in next(iter(entries.values()))]
    names = list(next(iter(entries.values()))["scores"])
    grid = [["", *counted, *names]]
    for name, entry in entries.items():
        unit = f" ({entry['unit']})" if entry.get("unit") else ""
        shown = [_shown(entry["scores"][score], in_unit) for score in names]
        grid.append([f"{name}{unit}", *(str(entry[key]) for key in counted), *shown])
    if len(entries) > 1:
        means = [_shown(overall[score], in_unit) for score in names]
        grid.append(["mean", *[""] * len(counted), *means])
    return aligned(grid, numeric=range(1, 1 + len(counted)))


def _images(summary: Mapping[str, Any]) -> list[str]:
    """A line for each score: of the restored images, and of the inputs that they were made from."""
    overall = summary["overall"]
    grid = [["", "restored", "input"]]
    grid += [[name, *(_shown(overall[key], True) for key in (name, f"{name}_input"))] for name in summary["metrics"]]
    return aligned(grid, numeric=())


_LINES = {"segmentation": _segmentation, "classification": _classification, "restoration": _images}
"""The lines of a kind of task; those that answer several questions of an image have a line for each."""


def _groups(column: str, groups: Mapping[str, Any]) -> list[str]:
    """The scores over all classes of each group, and what has to be said of it."""
    names = list(next(iter(groups.values()))["overall"])
    grid = [[f"by {column}", "patients", "cases", *names]]
    for value, entry in groups.items():
        scores = [_shown(entry["overall"][name]) for name in names]
        grid.append([value, str(entry["patients"]), str(entry["cases"]), *scores])
    notes = [f"note: {value}: {note}" for value, entry in groups.items() for note in entry["notes"]]
    return [*aligned(grid, numeric=(1, 2)), *notes]


def _worst(column: str, worst: Mapping[str, Any]) -> list[str]:
    """The group with the worst value of each score."""
    return [
        f"worst by {column}: {name} {_shown(found)} in {found['group']} ({number_of(found['patients'], 'patient')})"
        for name, found in worst.items()
    ]


def _shown(score: Mapping[str, Any], in_unit: bool = False) -> str:
    """A value and its interval: shares with three decimals, numbers that may be of any size with four digits."""
    if score["value"] is None:
        return str(score.get("note", UNDEFINED))
    spec = ".4g" if in_unit else ".3f"
    value = f"{score['value']:{spec}}"
    return value if score["low"] is None else f"{value} [{score['low']:{spec}}, {score['high']:{spec}}]"


def aligned(grid: Sequence[Sequence[str]], *, numeric: Sequence[int]) -> list[str]:
    """Rows of cells as lines; the columns in `numeric` are flush right."""
    widths = [max(len(row[column]) for row in grid) for column in range(len(grid[0]))]
    return [
        GAP.join(
            cell.rjust(width) if column in numeric else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in grid
    ]
