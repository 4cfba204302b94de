"""The reliability diagram: what was claimed against what came true, with bands, above how many cases there were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum.report.figures import INK, MUTED, figure, line_look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Curve = Sequence[Mapping[str, Any]]
PANELS = 4
"""Curves that are drawn, each in a panel of its own; all of them are in the summary."""
PANEL_INCH = 2.6


def reliability_diagram(states: Mapping[str, Mapping[str, Curve]], out: Path) -> None:
    """Writes a PNG with a panel a curve: for each state (such as raw and calibrated) the curves by name.

    A point is a bin of cases at its mean probability; its band is the 95 % interval. Below, the cases of each bin.
    """
    names = list(next(iter(states.values())))
    shown = names[:PANELS]
    with figure(PANEL_INCH * len(shown) + 0.4, 3.9, out) as picture:
        grid = picture.subplots(2, len(shown), squeeze=False, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
        for column, name in enumerate(shown):
            _curves(grid[0][column], {state: curves[name] for state, curves in states.items()}, name)
            _counts(grid[1][column], {state: curves[name] for state, curves in states.items()})
        grid[0][0].set_ylabel("observed share")
        grid[1][0].set_ylabel("cases")
        if len(shown) < len(names):
            rest = f"{len(names) - len(shown)} more in summary.json"
            grid[1][-1].text(1, 1.02, rest, fontsize=6, ha="right", color=MUTED, transform=grid[1][-1].transAxes)


def _curves(axes: Axes, states: Mapping[str, Curve], name: str) -> None:
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="perfect")
    for order, (state, curve) in enumerate(states.items()):
        look = line_look(order)
        claimed, observed = ([each[key] for each in curve] for key in ("claimed", "observed"))
        low, high = ([each[key] for each in curve] for key in ("observed_low", "observed_high"))
        axes.plot(claimed, observed, marker="o", markersize=3, label=state, **look)
        axes.vlines(claimed, low, high, color=look["color"], linewidth=1, alpha=0.6)
        axes.fill_between(claimed, low, high, color=look["color"], alpha=0.12, linewidth=0)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_title(name)
    axes.legend(loc="upper left")


def _counts(axes: Axes, states: Mapping[str, Curve]) -> None:
    """Bars of the cases of each bin; those of further states as outlines."""
    for order, curve in enumerate(states.values()):
        look = line_look(order)["color"]
        widths = [each["high"] - each["low"] for each in curve]
        fill: dict[str, Any] = (
            {"color": look, "alpha": 0.45} if not order else {"fill": False, "edgecolor": look, "linewidth": 1}
        )
        axes.bar([each["low"] for each in curve], [each["cases"] for each in curve], width=widths, align="edge", **fill)
    axes.set_xlabel("probability", color=INK)
