"""The learning curves of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum.report.figures import MUTED, figure, line_look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = tuple[list[float], list[float]]

MANY_POINTS = 15
"""With fewer epochs than this each one gets a dot."""


@dataclass(frozen=True)
class Panel:
    """One set of axes: a title, a label of the y axis, and curves by name."""

    title: str
    label: str
    curves: Mapping[str, Points]


def learning_curves(log: Sequence[Mapping[str, Any]], out: Path, *, best_epoch: int | None = None) -> None:
    """Writes a PNG: losses, validation scores between 0 and 1, other validation scores, learning rate, and time.

    `log` holds the records of log.jsonl: epoch, train_loss, val_<metric>, lr, seconds, waiting; an epoch may lack
    any of them. `best_epoch` is marked where given. Panels without a number are left out.
    """
    shown = panels(log)
    columns = min(len(shown), 2)
    rows = math.ceil(len(shown) / columns)
    with figure(3.6 * columns, 2.3 * rows, out) as picture:
        grid = picture.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        for axes, panel in zip(grid, shown, strict=False):
            _draw(axes, panel, best_epoch)
        if len(epochs := {float(record["epoch"]) for record in log}) == 1:  # one epoch: ticks would be 1e-17 apart
            grid[0].set_xlim(min(epochs) - 1, min(epochs) + 1)
        for axes in grid[len(shown) :]:
            axes.set_visible(False)
        for axes in grid[max(len(shown) - columns, 0) : len(shown)]:
            axes.set_xlabel("epoch")
            axes.tick_params(labelbottom=True)


def panels(log: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """The curves of a log, panel by panel; without a number there is one empty panel."""
    names = list(dict.fromkeys(name for record in log for name in record))
    curves = {name: points for name in names if (points := _points(log, name))[0]}
    scores = {name.removeprefix("val_"): points for name, points in curves.items() if _is_score(name)}
    shares = {name: points for name, points in scores.items() if all(0 <= value <= 1 for value in points[1])}
    losses = {
        title: curves[name]
        for name, title in (("train_loss", "training"), ("val_loss", "validation"))
        if name in curves
    }
    others = {name: points for name, points in scores.items() if name not in shares}
    found = [Panel("Loss", "loss", losses), Panel("Validation scores", "score", shares)]
    found.append(Panel("Other validation scores", "value", others))
    found.append(Panel("Learning rate", "learning rate", _only(curves, "lr")))
    found.append(Panel("Time", "seconds an epoch", _only(curves, "seconds")))
    if "waiting" in curves:
        epochs, values = curves["waiting"]
        found.append(
            Panel("Waiting for data", "% of the time", {"waiting": (epochs, [100 * value for value in values])})
        )
    return [panel for panel in found if panel.curves] or [Panel("Loss", "loss", {})]


def _is_score(name: str) -> bool:
    return name.startswith("val_") and name != "val_loss"


def _only(curves: Mapping[str, Points], name: str) -> dict[str, Points]:
    return {name: curves[name]} if name in curves else {}


def _points(log: Sequence[Mapping[str, Any]], name: str) -> Points:
    """Epochs and values where the log has a finite number of that name."""
    found = [
        (float(record["epoch"]), float(record[name]))
        for record in log
        if isinstance(record.get(name), (int, float)) and math.isfinite(record[name])
    ]
    return [epoch for epoch, _ in found], [value for _, value in found]


def _draw(axes: Axes, panel: Panel, best_epoch: int | None) -> None:
    """Draws the curves of one panel and marks the best epoch."""
    from matplotlib.ticker import MaxNLocator

    for index, (name, (epochs, values)) in enumerate(panel.curves.items()):
        marker = "o" if len(epochs) < MANY_POINTS else ""
        axes.plot(epochs, values, label=name, marker=marker, markersize=3, **line_look(index))
    axes.set_title(panel.title)
    axes.set_ylabel(panel.label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    values = [value for _, curve in panel.curves.values() for value in curve]
    if panel.title == "Learning rate" and min(values) > 0 and max(values) > 10 * min(values):
        axes.set_yscale("log")
    elif panel.title == "Waiting for data":
        axes.set_ylim(0, 100)
    elif panel.title == "Time":
        axes.set_ylim(0, 1.1 * max(values) or 1)
    named = panel.title in {"Loss", "Validation scores", "Other validation scores"}
    if best_epoch is not None:
        label = "best epoch" if named else None
        axes.axvline(best_epoch, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label=label, zorder=1)
    if named and axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best")
