"""Charts of a comparison: paired differences with their intervals, and the ranks that samples of the patients give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from hilum.report.page.chart import WIDTH, Drawing, Frame, Scale, dot, line, padded, short, text
from hilum.report.page.markup import fixed
from hilum.report.page.palette import hue
from hilum.report.page.wording import score_name

ROW = 38.0
"""Height of a difference: a line of words above the line with its interval."""
RANK_ROW = 28.0
NAME = 110.0
"""Width of the place for the name of a method."""
LONGEST, LONGEST_PAIR = 15, 40
MOST_ROWS = 24
"""Differences in a chart; of more, those over all classes."""


def differences_chart(
    score: str, lines: Sequence[Mapping[str, Any]], structures: Sequence[Mapping[str, Any]], *, digits: int
) -> Drawing | None:
    """A line for each pair of methods, over all classes and below them for each structure; None without a value."""
    shown = [row for one in lines for row in (one, *(each for each in structures if _pair(each) == _pair(one)))]
    shown = shown if len(shown) <= MOST_ROWS else list(lines)
    shown = [one for one in shown if one["difference"] is not None]
    if not shown:
        return None
    ends = [float(one[key]) for one in shown for key in ("difference", "low", "high") if one[key] is not None]
    height = ROW * len(shown) + 58
    frame = Frame(
        Scale(*padded([*ends, 0.0], share=0.08), 14, WIDTH - 14),
        Scale(0, 1, height - 44, 6),
        x_title=f"difference of {score_name(score)}: first less second",
        height=height,
        bare_y=True,
    )
    zero = frame.x(0.0)
    marks = [line((zero, frame.y.stop), (zero, frame.y.start), "ref")]
    for place, one in enumerate(shown):
        marks += _row(frame, place, one, digits)
    title = f"{score_name(score)}: paired differences"
    said = "; ".join(_words(one, digits) for one in shown)
    caption = "Dot: the difference; line: its interval. Where the line leaves out zero, chance hardly explains it."
    return Drawing(f"differences_{score}", title, frame.drawn(f"{title}. {said}", *marks), caption)


def rankings_chart(score: str, places: Sequence[Mapping[str, Any]]) -> Drawing:
    """A line a method over the ranks that most samples give it, with a dot at its rank."""
    height = RANK_ROW * len(places) + 58
    across = Scale(0.7, len(places) + 0.3, NAME, WIDTH - 14, whole=True)
    frame = Frame(across, Scale(0, 1, height - 44, 6), x_title="rank", height=height, bare_y=True)
    marks: list[Markup] = []
    for index, place in enumerate(places):
        y = frame.y.stop + RANK_ROW * (index + 0.5)
        said = f"{place['method']}: rank {place['rank']}, first in {place['first']:.0%} of the samples"
        marks += [
            text((NAME - 10, y + 4), short(str(place["method"]), LONGEST), "tick", anchor="end"),
            line((frame.x(place["low"]), y), (frame.x(place["high"]), y), f"curve l{hue(index)}"),
            dot((frame.x(place["rank"]), y), f"dot f{hue(index)}", title=said, radius=5),
        ]
    title = f"Ranks by {score_name(score)}"
    names = ", ".join(str(place["method"]) for place in places)
    caption = "Dot: the rank of the mean; line: the ranks that most samples of the patients give."
    return Drawing(f"ranking_{score}", title, frame.drawn(f"{title}: {names}", *marks), caption)


def _pair(one: Mapping[str, Any]) -> tuple[Any, Any]:
    return one["a"], one["b"]


def _row(frame: Frame, place: int, one: Mapping[str, Any], digits: int) -> list[Markup]:
    top = frame.y.stop + ROW * place
    y = top + ROW - 12
    kind = "f1" if not one["structure"] else "f7"
    who = f"{one['a']} \u2212 {one['b']}" if not one["structure"] else str(one["structure"])
    marks = [
        text((14, top + 15), short(who, LONGEST_PAIR), "strong halo" if not one["structure"] else "tick halo"),
        text((WIDTH - 14, top + 15), str(one["verdict"]), "tick halo", anchor="end"),
    ]
    if one["low"] is not None and one["high"] is not None:
        marks.append(line((frame.x(one["low"]), y), (frame.x(one["high"]), y), f"curve {kind.replace('f', 'l')}"))
    marks.append(dot((frame.x(one["difference"]), y), f"dot {kind}", title=_words(one, digits), radius=4.6))
    return marks


def _words(one: Mapping[str, Any], digits: int) -> str:
    """A difference in words: A less B, liver: 0.021 (0.008 to 0.034), A better."""
    where = f", {one['structure']}" if one["structure"] else ""
    ends = "" if one["low"] is None else f" ({fixed(one['low'], digits)} to {fixed(one['high'], digits)})"
    return f"{one['a']} less {one['b']}{where}: {fixed(one['difference'], digits)}{ends}, {one['verdict']}"
