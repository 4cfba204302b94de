"""Learning curves of a run, from its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from hilum.errors import number_of
from hilum.report.curves import MANY_POINTS, Panel, panels
from hilum.report.page.chart import Drawing, Frame, curve, dot, line, line_kind, padded, text
from hilum.report.page.palette import hue
from hilum.report.page.wording import compact, score_name

CAPTIONS = {
    "Loss": "What training makes small. Validation that rises while training falls is overfitting.",
    "Validation scores": "Scores of whole validation cases after each validated epoch.",
    "Other validation scores": "Scores that are no shares between 0 and 1.",
    "Learning rate": "The step length of the optimizer at the end of each epoch.",
    "Time": "Seconds that an epoch took, validation included where there was one.",
    "Waiting for data": "Share of the time in which the network waited for its next batch.",
}
LOG_RATIO = 10
"""Learning rates that differ by more than this have a logarithmic axis."""


def learning_curves(log: Sequence[Mapping[str, Any]], best_epoch: float | None) -> tuple[Drawing, ...]:
    """A chart for each group of numbers that the log holds; none where it holds no number."""
    epochs = [float(entry["epoch"]) for entry in log]
    return tuple(_drawing(panel, epochs, best_epoch) for panel in panels(log) if panel.curves)


def best_epoch(log: Sequence[Mapping[str, Any]], monitor: str, better: str | None) -> float | None:
    """The epoch of the best value of the monitored score, the first of equals; None where nothing was validated."""
    name = f"val_{monitor}"
    scored = [(float(entry[name]), entry["epoch"]) for entry in log if entry.get(name) is not None]
    if not scored or better is None:
        return None
    sign = -1.0 if better == "higher" else 1.0
    return float(min(scored, key=lambda one: (sign * one[0], one[1]))[1])


def _drawing(panel: Panel, epochs: Sequence[float], best: float | None) -> Drawing:
    values = [value for _, points in panel.curves.values() for value in points]
    frame = _frame(panel, epochs, values)
    marks = [*_best(frame, best), *_curves(frame, panel)]
    names = [score_name(name) for name in panel.curves]
    said = f"{panel.title}: {', '.join(names)} over {number_of(len(set(epochs)), 'epoch')}"
    several = panel.title in {"Loss", "Validation scores", "Other validation scores"}
    svg = frame.drawn(said, *marks, names=names if several else ())
    return Drawing(f"learning_{panel.title.lower().replace(' ', '_')}", panel.title, svg, CAPTIONS[panel.title])


def _frame(panel: Panel, epochs: Sequence[float], values: Sequence[float]) -> Frame:
    first, last = min(epochs), max(epochs)
    across = (first, last) if last > first else (first - 0.5, first + 0.5)
    log = panel.title == "Learning rate" and min(values) > 0 and max(values) > LOG_RATIO * min(values)
    up = {
        "Waiting for data": (0.0, 100.0),
        "Time": (0.0, 1.1 * max(values) or 1.0),
        "Learning rate": (min(values), max(values)) if log else (0.0, 1.05 * max(values) or 1.0),
        "Validation scores": padded(values, within=(0.0, 1.0)),
    }.get(panel.title, padded(values))
    return Frame.of(across, up, titles=("epoch", panel.label), log=log, whole=True)


def _curves(frame: Frame, panel: Panel) -> list[Markup]:
    marks: list[Markup] = []
    for index, (name, (epochs, values)) in enumerate(panel.curves.items()):
        marks.append(curve(frame.path(zip(epochs, values, strict=True)), line_kind(index)))
        if len(epochs) < MANY_POINTS:
            marks += [
                dot(
                    frame.at((epoch, value)),
                    f"dot f{hue(index)}",
                    title=f"epoch {epoch:g}: {score_name(name)} {compact(value)}",
                )
                for epoch, value in zip(epochs, values, strict=True)
            ]
    return marks


def _best(frame: Frame, best: float | None) -> list[Markup]:
    if best is None or not frame.x.low <= best <= frame.x.high:
        return []
    across = frame.x(best)
    left = across > (frame.x.start + frame.x.stop) / 2
    label = text((across + (-6 if left else 6), frame.y.stop + 10), "best", "tick", anchor="end" if left else None)
    return [line((across, frame.y.start), (across, frame.y.stop), "ref"), label]
