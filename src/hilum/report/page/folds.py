"""A cross-validation fold by fold: the scores of each network, how far they lie apart, and how they were trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from hilum.evaluation.rows import Row
from hilum.report.page.chart import WIDTH, Drawing, Frame, Scale, curve, dot, line, line_kind, padded, short, text
from hilum.report.page.files import RunFiles
from hilum.report.page.markup import counted, element, fixed, folded, hashed, number, paragraph, table
from hilum.report.page.palette import hue
from hilum.report.page.scored import Scored, Section
from hilum.report.page.strips import strip_plot
from hilum.report.page.wording import compact, moment, score_name, with_unit

BAND = 26.0
"""Height of the line of a fold."""
NAME = 96.0
"""Width of the place for its name."""
LONGEST = 13
FOLD = "fold"
PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Fold:
    """One run of a cross-validation."""

    name: str
    files: RunFiles


def folds_section(scored: Scored) -> Section | None:
    """Scores of each fold as a table and as charts; None where there are no folds."""
    each: Mapping[str, Mapping[str, float | None]] = scored.folds.get("each") or {}
    shown = [column for column in scored.metrics if any(scores.get(column) is not None for scores in each.values())]
    if not shown:
        return None
    lead = "Each fold is one network, scored on patients that it has not seen. The spread between folds is that of "
    lead += "networks and patients together; the intervals of the scores above are those of the patients alone."
    charts = [_chart(scored, column) for column in shown]
    strips = _cases(scored)
    blocks: list[Markup | Sequence[Drawing]] = [paragraph(lead, kind="lead"), _table(scored, shown), charts]
    if strips is not None:
        blocks += [element("h3", "Every case, by fold", class_="sub"), [strips]]
    return Section("folds", "Fold by fold", blocks)


def trained_section(folds: Sequence[Fold], monitor: str) -> Section | None:
    """How the network of each fold learnt, and where it comes from; None without any file of a fold."""
    drawing = _learning(folds, monitor)
    rows = [_origin(fold) for fold in folds if fold.files.provenance]
    if not rows and drawing is None:
        return None
    head = ["fold", "cases to train", "to choose", "to test", "looks at test", "finished", "weights"]
    blocks: list[Markup | Sequence[Drawing]] = [] if drawing is None else [[drawing]]
    blocks += [table("The network of each fold", head, rows)] if rows else []
    lacking = [f"{fold.name}: {said}" for fold in folds for said in fold.files.lacking]
    blocks += [folded(f"Files that are missing: {len(lacking)}", *map(paragraph, lacking))] if lacking else []
    return Section("networks", "The networks", blocks)


def _table(scored: Scored, shown: Sequence[str]) -> Markup:
    each, sizes = scored.folds["each"], _sizes(scored.rows)
    rows = [
        [
            name,
            *(counted(size) for size in sizes.get(name, (0, 0))),
            *(number(scores.get(column), scored.digits(column)) for column in shown),
        ]
        for name, scores in each.items()
    ]
    for title, key in (("mean of the folds", "mean"), ("standard deviation", "std")):
        values = scored.folds.get(key) or {}
        rows.append([title, "", "", *(number(values.get(column), scored.digits(column)) for column in shown)])
    head = ["fold", "patients", "cases", *(with_unit(column, scored.metrics[column]) for column in shown)]
    return table("Scores of each fold over all classes", head, rows)


def _sizes(rows: Sequence[Row]) -> dict[str, tuple[int, int]]:
    """Patients and cases of each fold."""
    names = dict.fromkeys(str(row.get(FOLD)) for row in rows)
    own = {name: [row for row in rows if str(row.get(FOLD)) == name] for name in names}
    return {
        name: (len({row["patient_id"] for row in found}), len({row["case_id"] for row in found}))
        for name, found in own.items()
    }


def _chart(scored: Scored, column: str) -> Drawing:
    """A line a fold with its score, above the pooled score and its interval."""
    scores = {name: values.get(column) for name, values in scored.folds["each"].items()}
    entry = scored.overall.get(column) or {}
    ends = [entry.get(key) for key in ("value", "low", "high")]
    known = [float(value) for value in (*scores.values(), *ends) if value is not None]
    facts = scored.metrics[column]
    share = not facts.get("unit") and all(0 <= value <= 1 for value in known)
    height = BAND * (len(scores) + 1) + 60
    across = Scale(*padded(known, within=(0.0, 1.0) if share else None, share=0.1), NAME, WIDTH - 14)
    up = Scale(0, 1, height - 44, 6)
    frame = Frame(across, up, x_title=with_unit(column, facts), height=height, bare_y=True)
    digits = scored.digits(column)
    marks = [mark for place, one in enumerate(scores.items()) for mark in _fold(frame, place, one, digits)]
    marks += _pooled(frame, len(scores), ends, digits)
    title = f"{score_name(column)} by fold"
    svg = frame.drawn(f"{title}: {', '.join(scores)}, and all patients together", *marks)
    caption = "A dot is the score of one fold. Thick line: all patients together, with the interval over the patients."
    return Drawing(f"folds_{column}", title, svg, caption)


def _fold(frame: Frame, place: int, one: tuple[str, float | None], digits: int) -> list[Markup]:
    name, value = one
    y = frame.y.stop + BAND * (place + 0.5)
    marks = [
        text((NAME - 10, y + 4), short(name, LONGEST), "tick", anchor="end"),
        line((frame.x.start, y), (frame.x.stop, y), "grid"),
    ]
    if value is not None:
        said = f"{name}: {fixed(value, digits)}"
        marks.append(dot((frame.x(value), y), "dot f1", title=said, radius=4.6))
    return marks


def _pooled(frame: Frame, place: int, ends: Sequence[float | None], digits: int) -> list[Markup]:
    value, low, high = ends
    y = frame.y.stop + BAND * (place + 0.5) + 2
    marks = [text((NAME - 10, y + 4), "all patients", "strong", anchor="end")]
    if value is None:
        return marks
    said = f"all patients: {fixed(value, digits)}"
    if low is not None and high is not None:
        said += f" ({fixed(low, digits)} to {fixed(high, digits)})"
        marks.append(line((frame.x(low), y), (frame.x(high), y), "mean"))
    return [*marks, dot((frame.x(value), y), "mean-dot", title=said, radius=4.2)]


def _cases(scored: Scored) -> Drawing | None:
    """Every case as a point on the strip of its fold, by the mean of the monitored score over its structures."""
    column = scored.monitor
    if scored.scored_classes or column not in scored.metrics:
        return None
    values: dict[tuple[str, str, str], list[float]] = {}
    for row in scored.rows:
        if row.get(column) is not None:
            key = str(row.get(FOLD)), str(row["case_id"]), str(row["patient_id"])
            values.setdefault(key, []).append(float(row[column] or 0.0))
    rows: list[Row] = [
        {"class": fold, "case_id": case, "patient_id": patient, "status": "found", column: float(np.mean(found))}
        for (fold, case, patient), found in values.items()
    ]
    means = {name: {column: {"value": own.get(column)}} for name, own in scored.folds["each"].items()}
    drawn = strip_plot(rows, means, column=column, facts=scored.metrics[column], seed=scored.seed)
    if drawn is None:
        return None
    caption = "A point is a case, by the mean over its structures; rest the pointer on it to read which. Dot: mean."
    return Drawing("strip_folds", f"{score_name(column)} of every case by fold", drawn.svg, caption)


def _learning(folds: Sequence[Fold], monitor: str) -> Drawing | None:
    """The monitored score on the validation part after each epoch, a curve a fold."""
    name = f"val_{monitor}"
    curves = {
        fold.name: [(float(entry["epoch"]), float(entry[name])) for entry in fold.files.log if _has(entry, name)]
        for fold in folds
    }
    curves = {fold: points for fold, points in curves.items() if points}
    if not curves:
        return None
    epochs = [epoch for points in curves.values() for epoch, _ in points]
    values = [value for points in curves.values() for _, value in points]
    first, last = min(epochs), max(epochs)
    across = (first, last) if last > first else (first - 0.5, first + 0.5)
    within = (0.0, 1.0) if all(0 <= value <= 1 for value in values) else None
    frame = Frame.of(across, padded(values, within=within), titles=("epoch", score_name(monitor)), whole=True)
    marks: list[Markup] = []
    for index, (fold, points) in enumerate(curves.items()):
        marks.append(curve(frame.path(points), line_kind(index)))
        marks += [
            dot(frame.at(point), f"dot f{hue(index)}", title=f"{fold}, epoch {point[0]:g}: {compact(point[1])}")
            for point in points[-1:]
        ]
    svg = frame.drawn(f"Validation {score_name(monitor)} of {', '.join(curves)}", *marks, names=list(curves))
    return Drawing(
        "learning_folds", f"Validation {score_name(monitor)}", svg, "After each epoch, on each fold's own val part."
    )


def _has(entry: Mapping[str, Any], name: str) -> bool:
    value = entry.get(name)
    return isinstance(value, int | float) and bool(np.isfinite(value))


def _origin(fold: Fold) -> list[Any]:
    known = fold.files.provenance
    counts = [sum(row["part"] == part for row in fold.files.split) for part in PARTS]
    looks = sum(look.part == "test" for look in fold.files.looks)
    weights = str(known.get("weights_sha256") or "")[:12]
    return [fold.name, *map(counted, counts), counted(looks), moment(known.get("finished", "not yet")), hashed(weights)]
