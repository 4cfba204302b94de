"""The table of scores: every structure or class, every score, with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from hilum.metrics.pair import STATUSES
from hilum.registry import kinds, summary
from hilum.report.page.markup import bar, code, counted, element, facts, folded, paragraph, score, table
from hilum.report.page.scored import Scored, Section
from hilum.report.page.wording import cohort, level, part_name, score_name, with_unit

HIDDEN_SETTINGS = {"kind", "better", "in_unit", "unit"}


def scores_section(scored: Scored) -> Section | None:
    """All scores of the part, those of other parts in short, and what they mean; None where nothing was scored."""
    if not scored.overall:
        return None
    interval = scored.summary.get("interval")
    who = cohort(scored.summary.get("cases", 0), scored.summary.get("patients", 0))
    resamples = f", {interval['resamples']} resamples" if interval and interval.get("resamples") else ""
    how = f"{level(interval)}s: {interval.get('method', '')}{resamples}." if interval else "No intervals."
    blocks = [paragraph(f"{who[0].upper()}{who[1:]}. {how}", kind="lead")]
    blocks += _structures(scored) if "metrics" in scored.summary and _has_statuses(scored) else _classes(scored)
    blocks += [*_other_parts(scored), _meanings(scored.metrics)]
    return Section("scores", "Scores", blocks)


def _has_statuses(scored: Scored) -> bool:
    return any("found" in entry for entry in scored.classes.values())


def _structures(scored: Scored) -> list[Markup]:
    """A row a structure, a column a score."""
    head = ["structure", *(with_unit(column, scored.metrics[column]) for column in scored.metrics)]
    rows = []
    for name, entry in scored.classes.items():
        rows.append([name, *_cells(scored, entry)])
        present = entry.get("where_present")
        if present is not None:
            rows.append([f"{name}, where it is present", *_cells(scored, present)])
    rows.append(["mean", *_cells(scored, scored.overall)])
    return [table(f"Scores of {scored.whole} by structure, means over the cases", head, rows)]


def _cells(scored: Scored, entries: Mapping[str, Any]) -> list[Markup]:
    return [score(entries.get(column) or {}, scored.digits(column)) for column in scored.metrics]


def _classes(scored: Scored) -> list[Markup]:
    """The scores over all classes, then those of each class, a row a class."""
    names = list(scored.classes)
    of_class = {column: [f"{column}_{name}" for name in names] for column in scored.overall}
    by_class = [column for column, wanted in of_class.items() if names and set(wanted) <= set(scored.overall)]
    inner = {name for column in by_class for name in of_class[column]}
    shown = {column: entry for column, entry in scored.overall.items() if column not in inner}
    blocks = [_over_all(scored, shown)]
    lines = [
        [
            name,
            counted(scored.classes[name].get("cases", 0)),
            *(score(scored.overall[f"{column}_{name}"], scored.digits(column)) for column in by_class),
        ]
        for name in names
    ]
    head = ["class", "cases", *(score_name(column) for column in by_class)]
    return [*blocks, table("Scores of each class against the rest" if by_class else "Cases of each class", head, lines)]


def _over_all(scored: Scored, shown: Mapping[str, Any]) -> Markup:
    """A row a score over all classes, by case and, where patients were scored too, by patient."""
    patients = scored.patient_level
    by = (patients.get("aggregate") or {}).get("kind", "together")
    head = ["score", "by case", f"by patient ({by} of the cases)"] if patients else ["score", "value"]
    methods = any(entry.get("method") for entry in shown.values())
    rows = []
    for column, entry in shown.items():
        cells = [score_name(column), score(entry, scored.digits(column))]
        if patients:
            cells.append(score((patients.get("overall") or {}).get(column) or {}, scored.digits(column)))
        rows.append([*cells, *([entry.get("method", "")] if methods else []), bar(entry)])
    head += [*(["interval by"] if methods else []), ""]
    return table(f"Scores of {scored.whole} over all classes", head, rows)


def _other_parts(scored: Scored) -> list[Markup]:
    """The overall scores of the other parts that the summary holds."""
    others = [part for part in scored.files.summaries if part != scored.part]
    if not others:
        return []
    shown = list(scored.metrics)
    rows = []
    for part in (scored.part, *others):
        entry = scored.files.summaries[part]
        cells = [score((entry.get("overall") or {}).get(column) or {}, scored.digits(column)) for column in shown]
        rows.append([part_name(part), counted(entry.get("patients", 0)), counted(entry.get("cases", 0)), *cells])
    head = ["part", "patients", "cases", *(with_unit(column, scored.metrics[column]) for column in shown)]
    return [table("All parts that were scored", head, rows)]


def _meanings(metrics: Mapping[str, Any]) -> Markup:
    """What each score is, in the words of the code that computes it."""
    known = kinds("metrics")
    pairs = []
    for column, settings in metrics.items():
        kind = str(settings.get("kind", column))
        meaning = summary(known[kind]) if kind in known else "a score of a plugin"
        chosen = {key: value for key, value in settings.items() if key not in HIDDEN_SETTINGS}
        better = {"higher": " Higher is better.", "lower": " Lower is better."}.get(str(settings.get("better")), "")
        said = element("span", meaning, better)
        pairs.append((code(column), said + _settings(chosen) if chosen else said))
    return folded("What these scores mean", facts(pairs))


def _settings(chosen: Mapping[str, Any]) -> Markup:
    return element("span", " With ", ", ".join(f"{key} {value}" for key, value in chosen.items()), ".", class_="muted")


def outcomes(scored: Scored) -> list[Markup]:
    """How many structures were found, missed, invented and rightly left empty, and which cases these were."""
    counts = {name: entry for name, entry in scored.classes.items() if "found" in entry}
    if not counts:
        return []
    rows = [[name, *(counted(entry[status]) for status in STATUSES)] for name, entry in counts.items()]
    if len(rows) > 1:
        rows.append(["all", *(counted(sum(entry[status] for entry in counts.values())) for status in STATUSES)])
    blocks = [table("Structures found, missed, invented, and rightly left empty", ["structure", *STATUSES], rows)]
    for status in ("missed", "invented"):
        rows_of = [row for row in scored.rows if row.get("status") == status]
        named = [f"{row['case_id']} ({row['class']}{_size(row, status)})" for row in rows_of]
        if named:
            blocks.append(folded(f"{status.capitalize()}: {len(named)}", paragraph(", ".join(named))))
    return blocks


def _size(row: Mapping[str, Any], status: str) -> str:
    """The volume of a missed or invented structure."""
    side = "truth" if status == "missed" else "predicted"
    ml = row.get(f"{side}_ml")
    return f", {ml:.3g} ml" if ml is not None else f", {row.get(f'{side}_voxels')} voxels"


def subgroups_section(scored: Scored) -> Section | None:
    """The scores of each group of patients that the summary holds; None where it holds no groups."""
    by = scored.summary.get("by") or {}
    blocks: list[Markup] = [block for column, groups in by.items() for block in _groups(scored, column, groups)]
    return Section("subgroups", "Subgroups", blocks) if blocks else None


def _groups(scored: Scored, column: str, groups: Mapping[str, Any]) -> Sequence[Markup]:
    shown = [name for name in scored.metrics if any(name in (entry.get("overall") or {}) for entry in groups.values())]
    rows = []
    for value, entry in groups.items():
        overall = entry.get("overall") or {}
        first = [counted(entry.get("patients", 0)), counted(entry.get("cases", 0))]
        cells = [score(overall.get(name) or {}, scored.digits(name)) for name in shown]
        rows.append([value or "(empty)", *first, *cells, bar(overall.get(scored.monitor) or {})])
    head = [column, "patients", "cases", *(with_unit(name, scored.metrics[name]) for name in shown), ""]
    worst = _worst(scored, column, groups)
    told = (element("strong", worst), f" has the worst {score_name(scored.monitor)} of these groups.")
    said = [] if worst is None else [paragraph(*told)]
    return [table(f"Scores by {column}", head, rows), *said]


def _worst(scored: Scored, column: str, groups: Mapping[str, Any]) -> str | None:
    """The group of the worst monitored score: as the summary names it, else by the values of the groups.

    None where fewer than two groups have a value, or where the summary names none.
    """
    if "worst" in scored.summary:
        named = (scored.summary["worst"].get(column) or {}).get(scored.monitor) or {}
        return str(named["group"]) if "group" in named else None
    better = (scored.metrics.get(scored.monitor) or {}).get("better")
    values = {
        name: entry["overall"][scored.monitor]["value"]
        for name, entry in groups.items()
        if ((entry.get("overall") or {}).get(scored.monitor) or {}).get("value") is not None
    }
    if len(values) < 2 or better not in ("higher", "lower"):
        return None
    sign = 1 if better == "higher" else -1
    return min(values, key=lambda name: sign * values[name])
