"""What came of a sweep: a table of its trials, and a picture of how the score depends on the settings."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum.formats.atomic import write_whole
from hilum.report.figures import INK, MUTED, PALETTE, RIGHT, WRONG, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = ("trial", "state", "value", "best_epoch", "epochs", "seconds")
"""Columns before those of the settings; `run` and `reason` follow them."""
ACROSS = 3
"""Panels side by side."""
LONGEST = 22
"""Characters of a value below its axis."""
EARLY = "#BBD9EE"
LATE = "#0B3C5D"
"""Colours of the first and the last trial; those between have a shade between."""
RING: dict[str, Any] = {"marker": "o", "color": WRONG, "markerfacecolor": "none", "markersize": 9}
"""What stands around the best trial."""


@dataclass(frozen=True)
class TrialRow:
    """One trial: `state` is complete, pruned, failed or unfinished, `value` its best score on validation."""

    trial: int
    state: str
    value: float | None
    best_epoch: int | None
    epochs: int | None
    seconds: float | None
    setting: Mapping[str, Any]
    run: str
    reason: str


@dataclass(frozen=True)
class Drawn:
    """One key of the space as an axis of a picture: a scale of numbers, or named values in their order."""

    key: str
    log: bool = False
    names: tuple[str, ...] = ()
    place: Callable[[Any], float] = float
    """Where on the axis a value stands."""


def write_trials(rows: Sequence[TrialRow], keys: Sequence[str], file: Path, *, text: Callable[[Any], str]) -> None:
    """Write the table of trials, a row each in their order; numbers are written so that they read back the same."""
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow([*COLUMNS, *keys, "run", "reason"])
    for row in rows:
        numbers = [row.trial, row.state, row.value, row.best_epoch, row.epochs, row.seconds]
        shown = ["" if entry is None else entry for entry in numbers]
        writer.writerow([*shown, *(text(row.setting[key]) for key in keys), row.run, row.reason])
    write_whole(file, content.getvalue().encode())


def best_of(rows: Sequence[TrialRow], *, higher: bool) -> TrialRow | None:
    """The best complete trial, the earliest of equal ones; None where none is complete."""
    complete = [row for row in rows if row.state == "complete" and row.value is not None]
    return max(complete, key=lambda row: ((1 if higher else -1) * (row.value or 0.0), -row.trial), default=None)


def draw_sweep(
    rows: Sequence[TrialRow],
    axes_of: Sequence[Drawn],
    out: Path,
    *,
    score: str,
    higher: bool,
    importance: Mapping[str, float],
) -> None:
    """Writes a PNG: the score of each trial in its order, how much each key matters, and the score over each key.

    `importance` holds the share of each key, and is empty where there are too few trials to tell.
    """
    panels = 1 + bool(importance) + len(axes_of)
    columns = min(panels, ACROSS)
    lines = math.ceil(panels / columns)
    best = best_of(rows, higher=higher)
    with figure(3.3 * columns, 2.6 * lines, out) as picture:
        grid = picture.subplots(lines, columns, squeeze=False).ravel()
        _history(grid[0], rows, score=score, higher=higher)
        if importance:
            _bars(grid[1], importance)
        slices = grid[1 + bool(importance) : panels]
        for axes, drawn in zip(slices, axes_of, strict=True):
            _slice(axes, rows, drawn, best=best, score=score)
        _legend(picture, grid[0], several=len(rows) > 1, best=best is not None)
        for axes in grid[panels:]:
            axes.set_visible(False)


def _history(axes: Axes, rows: Sequence[TrialRow], *, score: str, higher: bool) -> None:
    """The score of each trial, and the best complete one until then."""
    from matplotlib.ticker import MaxNLocator

    pick = max if higher else min
    complete = [(row.trial, row.value) for row in rows if row.state == "complete" and row.value is not None]
    pruned = [(row.trial, row.value) for row in rows if row.state == "pruned" and row.value is not None]
    failed = [row.trial for row in rows if row.state == "failed"]
    if complete:
        steps = [value for _, value in complete]
        bests = [pick(steps[: index + 1]) for index in range(len(steps))]
        end = max(row.trial for row in rows)
        places = [trial for trial, _ in complete]
        axes.step([*places, end], [*bests, bests[-1]], where="post", color=RIGHT, linewidth=1.4, label="best so far")
        axes.plot(places, steps, "o", color=RIGHT, markersize=4.5, label="complete", zorder=3)
    if pruned:
        trials, values = zip(*pruned, strict=True)
        axes.plot(trials, values, "o", color=MUTED, markerfacecolor="white", markersize=4.5, label="pruned", zorder=3)
    if failed:
        bottom = axes.get_xaxis_transform()
        axes.plot(failed, [0.03] * len(failed), "x", color=WRONG, markersize=5, transform=bottom, label="failed")
    axes.set_title("Trials in their order")
    axes.set_xlabel("trial")
    axes.set_ylabel(score)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(y=0.12)


def _bars(axes: Axes, importance: Mapping[str, float]) -> None:
    """A bar for each key, the most important one on top."""
    shares = sorted(importance.items(), key=lambda item: item[1])
    names = [_short(key) for key, _ in shares]
    axes.barh(names, [share for _, share in shares], color=PALETTE[5], height=0.62)
    for spot, (_, share) in enumerate(shares):
        axes.text(share + 0.015, spot, f"{share:.0%}", va="center", fontsize=7, color=INK)
    axes.set_xlim(0, 1.12)
    axes.set_xticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    axes.set_title("Importance (fANOVA)")
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _slice(axes: Axes, rows: Sequence[TrialRow], drawn: Drawn, *, best: TrialRow | None, score: str) -> None:
    """The score over one key; later trials are darker, pruned ones hollow, the best one has a ring."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.ticker import MaxNLocator

    shade = LinearSegmentedColormap.from_list("order", [EARLY, LATE])
    last = max((row.trial for row in rows), default=0) or 1
    for row in rows:
        if row.value is None or row.state == "failed":
            continue
        colour = shade(row.trial / last)
        face = colour if row.state == "complete" else "white"
        place = drawn.place(row.setting[drawn.key])
        axes.plot([place], [row.value], "o", color=colour, markerfacecolor=face, markersize=5)
        if best is not None and row.trial == best.trial:
            axes.plot([place], [row.value], **RING)
    axes.set_title(_short(drawn.key))
    axes.set_ylabel(score)
    axes.margins(x=0.08, y=0.12)
    if drawn.names:
        axes.set_xticks(range(len(drawn.names)), [_short(name) for name in drawn.names])
        axes.set_xlim(-0.5, len(drawn.names) - 0.5)
        if max(map(len, drawn.names)) * len(drawn.names) > 2 * LONGEST:
            axes.tick_params(axis="x", rotation=30)
    elif drawn.log:
        axes.set_xscale("log")
    elif all(isinstance(row.setting[drawn.key], int) for row in rows):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _legend(picture: Figure, history: Axes, *, several: bool, best: bool) -> None:
    """What lines, dots and colours say, once below all panels, where it hides none of them."""
    from matplotlib.lines import Line2D

    dot: dict[str, Any] = {"marker": "o", "linestyle": "", "markersize": 5}
    handles, _ = history.get_legend_handles_labels()
    shades = [(EARLY, "first trial"), (LATE, "last trial")] if several else []
    handles += [Line2D([], [], color=colour, label=label, **dot) for colour, label in shades]
    if best:
        handles.append(Line2D([], [], label="best", linestyle="", **{**RING, "markersize": 7}))
    if handles:
        picture.legend(handles=handles, loc="outside lower center", ncols=len(handles), handlelength=1.4)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"…{text[1 - LONGEST :]}"
