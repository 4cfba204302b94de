"""Every case as a point, structure by structure: what a mean hides, and which case it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from hilum.evaluation.rows import Row
from hilum.metrics.pair import NOT_IN_TRUTH
from hilum.random import generator
from hilum.report.page.chart import WIDTH, Drawing, Frame, Scale, box, dot, line, padded, short, text
from hilum.report.page.markup import fixed
from hilum.report.page.palette import hue
from hilum.report.page.wording import compact, score_name, with_unit

BAND = 44.0
"""Height of the points of a structure."""
HEAD = 22.0
"""Height of the line above them, with the structure's name and its mean."""
GUTTER = 80.0
"""Width of the place for missed and invented structures, whose values are penalties."""
RADIUS = 3.2
MOST_POINTS = 400
"""Points of a structure; of more, the worst are shown and others drawn by the seed."""
MOST_OF_ALL = 2400
"""Points of all structures together, which keeps the page light."""
LONGEST = 22
APART = ("missed", "invented")


@dataclass(frozen=True)
class Strip:
    """The points of one structure: its number, its cases, and its mean as the summary holds it."""

    number: int
    name: str
    rows: Sequence[Row]
    score: Mapping[str, Any]


def strip_plot(
    rows: Sequence[Row], classes: Mapping[str, Any], *, column: str, facts: Mapping[str, Any], seed: int
) -> Drawing | None:
    """A strip of points a structure for one score; None where no case has a value.

    `classes` are those of the summary, `facts` what it says of the metric. Structures that are rightly absent are left
    out; missed and invented ones stand apart, because their values are penalties.
    """
    most = max(2, min(MOST_POINTS, MOST_OF_ALL // max(len(classes), 1)))
    strips = [
        Strip(number, name, _drawn(rows, name, column, facts, seed=seed, most=most), entry.get(column) or {})
        for number, (name, entry) in enumerate(classes.items())
    ]
    found = [_value(row, column) for strip in strips for row in strip.rows if row["status"] not in APART]
    if not any(strip.rows for strip in strips):
        return None
    there = [status for status in APART if any(row["status"] == status for strip in strips for row in strip.rows)]
    frame = _frame(found, len(strips), column=column, facts=facts, apart=bool(there))
    marks = [mark for strip in strips for mark in _strip(frame, strip, column, facts)]
    gutter = _gutter(frame, facts, there) if there else []
    hidden = sum(len(_there(rows, strip.name, column)) - len(strip.rows) for strip in strips)
    caption = (
        "A point is a case; rest the pointer on it to read which. Thin line: median; "
        "dot and thick line: mean and interval."
        + (" Rings: missed and invented structures, which count in the mean with a penalty." if there else "")
        + (f" {hidden} points in the middle are left out, drawn by the seed." if hidden else "")
    )
    means = [strip.score["value"] for strip in strips if strip.score.get("value") is not None]
    if any(not frame.x.low <= mean <= frame.x.high for mean in means):
        caption += " A mean that penalties move beyond the axis is told in words only."
    title = f"{score_name(column)} by structure"
    svg = frame.drawn(f"{title}: {', '.join(classes)}; every case a point", *gutter, *marks)
    return Drawing(f"strip_{column}", title, svg, caption)


def _frame(values: Sequence[float], strips: int, *, column: str, facts: Mapping[str, Any], apart: bool) -> Frame:
    share = not facts.get("unit") and all(0 <= value <= 1 for value in values)
    low, high = padded(values, within=(0.0, 1.0) if share else None)
    if not share and values and min(values) >= 0:
        low = 0.0
    left, right = 14.0, WIDTH - 14.0
    if apart and facts.get("better") == "lower":
        right -= GUTTER
    elif apart:
        left += GUTTER
    height = strips * (BAND + HEAD) + 54
    up = Scale(0, 1, height - 44, 6)
    across = Scale(low, high, left, right)
    return Frame(across, up, x_title=with_unit(column, facts), height=height, bare_y=True)


def _gutter(frame: Frame, facts: Mapping[str, Any], statuses: Sequence[str]) -> list[Markup]:
    """The place of missed and invented structures, on the side of bad values."""
    start = frame.x.stop + 6 if facts.get("better") == "lower" else frame.x.start - GUTTER
    corner = (start, frame.y.stop + HEAD - 4)
    size = (GUTTER - 6, frame.y.start - frame.y.stop - HEAD + 4)
    middle = start + (GUTTER - 6) / 2
    labels = [
        text((middle, frame.y.start + 16 + 14 * line), status, "tick", anchor="middle")
        for line, status in enumerate(statuses)
    ]
    return [box(corner, size, "gutter", rx=4), *labels]


def _strip(frame: Frame, strip: Strip, column: str, facts: Mapping[str, Any]) -> list[Markup]:
    top = frame.y.stop + strip.number * (BAND + HEAD)
    middle = top + HEAD + BAND / 2 - 3
    found = [row for row in strip.rows if row["status"] not in APART]
    places = [frame.x(_value(row, column)) for row in found]
    kind = f"dot point f{hue(strip.number)}"
    marks = [
        dot((x, middle + up), kind, title=_title(row, column), radius=RADIUS)
        for row, x, up in zip(found, places, _offsets(places), strict=True)
    ]
    start = frame.x.stop + 6 if facts.get("better") == "lower" else frame.x.start - GUTTER
    missed = [row for row in strip.rows if row["status"] in APART]
    for index, row in enumerate(missed):
        across, down = divmod(index, 4)
        x = start + 9 + min(across * 9.0, GUTTER - 22)
        marks.append(dot((x, middle - 13 + 9 * down), "dot apart", title=_title(row, column), radius=RADIUS))
    return [*marks, *_middle(frame, strip, (top, middle), digits=2 if facts.get("unit") else 3)]


def _middle(frame: Frame, strip: Strip, places: tuple[float, float], *, digits: int) -> list[Markup]:
    """The structure's name, median, mean and interval, from the summary."""
    top, middle = places
    value, low, high, median = (strip.score.get(key) for key in ("value", "low", "high", "median"))
    marks = [text((14, top + 14), short(strip.name, LONGEST), "strong halo")]
    if median is not None and frame.x.low <= median <= frame.x.high:
        x = frame.x(median)
        marks.append(line((x, middle - BAND / 2 + 4), (x, middle + BAND / 2 - 4), "median"))
    if value is None:
        return marks
    said = f"mean {fixed(value, digits)}" + (
        "" if low is None or high is None else f" ({fixed(low, digits)} to {fixed(high, digits)})"
    )
    marks.append(text((WIDTH - 14, top + 14), said, "tick halo", anchor="end"))
    bottom = middle + BAND / 2 - 2
    if low is not None and high is not None and low < frame.x.high and high > frame.x.low:
        ends = (frame.x(max(low, frame.x.low)), frame.x(min(high, frame.x.high)))
        marks.append(line((ends[0], bottom), (ends[1], bottom), "mean"))
    if frame.x.low <= value <= frame.x.high:
        marks.append(dot((frame.x(value), bottom), "mean-dot", title=f"{strip.name}: {said}", radius=3.6))
    return marks


def _offsets(places: Sequence[float]) -> list[float]:
    """How far up or down each point moves so that it hides no other, as long as there is room."""
    step, most = RADIUS * 1.7, BAND / 2 - RADIUS - 3
    heights = [0.0]
    while heights[-1] + step <= most:
        heights.append(abs(heights[-1]) + step)
    levels = [sign * height for height in heights for sign in ((1, -1) if height else (1,))]
    last = dict.fromkeys(levels, -math.inf)
    offsets = [0.0] * len(places)
    for index in sorted(range(len(places)), key=lambda index: places[index]):
        free = [level for level in levels if places[index] - last[level] >= 1.8 * RADIUS]
        level = free[0] if free else min(levels, key=lambda level: last[level])
        last[level] = places[index]
        offsets[index] = level
    return offsets


def _drawn(
    rows: Sequence[Row], name: str, column: str, facts: Mapping[str, Any], *, seed: int, most: int = MOST_POINTS
) -> list[Row]:
    """The rows of a structure that are drawn: at most `most`, the worst of them always."""
    there = _there(rows, name, column)
    if len(there) <= most:
        return there
    sign = -1 if facts.get("better") == "lower" else 1
    there.sort(key=lambda row: (row["status"] not in APART, sign * _value(row, column), str(row["case_id"])))
    half = most // 2
    rng = generator(seed, 0, 0, "report.points")
    chosen = rng.choice(len(there) - half, size=most - half, replace=False)
    return there[:half] + [there[half + index] for index in np.sort(chosen)]


def _there(rows: Sequence[Row], name: str, column: str) -> list[Row]:
    """The rows of a structure that truth or prediction have, and that have a value."""
    return [row for row in rows if row["class"] == name and row["status"] != "absent" and row.get(column) is not None]


def _title(row: Row, column: str) -> str:
    status = "" if row["status"] not in (*APART, *NOT_IN_TRUTH) else f", {row['status']}"
    return f"{row['case_id']}, {row['class']}{status}: {score_name(column)} {compact(_value(row, column))}"


def _value(row: Row, column: str) -> float:
    return float(row[column] or 0.0)
