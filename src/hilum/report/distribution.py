"""A picture of a split: how many patients and cases are in each part or fold, and what they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hilum.data.splits.distribution import MOST_VALUES, Distribution, shortened
from hilum.report.figures import INK, MUTED, PALETTE, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACROSS = 4
"""Panels side by side."""
PANEL_INCH = 3.1
ROW_INCH = 0.3
DIGIT_SHARE = 0.034
"""About the width of a digit as a share of a panel: a number stands in its bar only where it has room."""
WHITE_ON = ("#0072B2", "#D55E00", "#009E73", "#6B6B6B")
"""Colours dark enough for white numbers."""
LONGEST = 18
"""Characters of a name; the rest is left out."""


def draw_distributions(shown: Sequence[Distribution], out: Path, *, title: str = "") -> None:
    """Writes a PNG: for each distribution its patients and cases, and for each column the shares of its values."""
    strips: list[tuple[Distribution, list[str | None]]] = []
    for one in shown:
        panels: list[str | None] = [None, *one.columns]
        strips += [(one, panels[first : first + ACROSS]) for first in range(0, len(panels), ACROSS)]
    heights = [1.15 + ROW_INCH * len(one.rows) for one, _ in strips]
    across = max(len(panels) for _, panels in strips)
    with figure(PANEL_INCH * across, sum(heights), out) as picture:
        if title:
            picture.suptitle(title, x=0.01, ha="left", fontsize=10)
        grid = picture.subplots(len(strips), across, squeeze=False, gridspec_kw={"height_ratios": heights})
        for line, (one, panels) in zip(grid, strips, strict=True):
            for axes in line[len(panels) :]:
                axes.set_visible(False)
            for axes, column in zip(line, panels, strict=False):
                if column is None:
                    _amounts(axes, one)
                else:
                    _composition(axes, one, column)


def _amounts(axes: Axes, shown: Distribution) -> None:
    """A bar of patients and one of cases for each row, with their numbers."""
    names = list(shown.rows)
    most = max(amount.cases for amount in shown.rows.values())
    for shift, colour, label, counts, total in (
        (-0.2, PALETTE[0], "patients", [amount.patients for amount in shown.rows.values()], shown.total.patients),
        (0.2, PALETTE[5], "cases", [amount.cases for amount in shown.rows.values()], shown.total.cases),
    ):
        axes.barh([row + shift for row in range(len(names))], counts, height=0.38, color=colour, label=label)
        for row, count in enumerate(counts):
            text = f"{count} ({count / max(total, 1):.0%})"
            axes.text(count + 0.015 * most, row + shift, text, va="center", fontsize=6.5, color=INK)
    axes.set_xlim(0, 1.3 * most)
    axes.set_title(_sentence(shown.title))
    _rows(axes, names)
    axes.grid(False, axis="y")
    _legend(axes, 2)


def _composition(axes: Axes, shown: Distribution, column: str) -> None:
    """What share of the cases of each row has which value of a column."""
    names = shortened(shown.values(column), LONGEST)
    colours = PALETTE if len(names) == MOST_VALUES else PALETTE[:-1]  # grey is for what is drawn together
    starts = [0.0] * len(shown.rows)
    for (value, label), colour in zip(names.items(), colours, strict=False):
        for row, (name, amounts) in enumerate(shown.columns[column].items()):
            cases = amounts[value].cases
            share = cases / max(shown.rows[name].cases, 1)
            axes.barh(row, share, left=starts[row], height=0.72, color=colour, label=label if row == 0 else None)
            if share > DIGIT_SHARE * (len(str(cases)) + 0.6):
                ink = "white" if colour in WHITE_ON else INK
                place = starts[row] + share / 2
                axes.text(place, row, str(cases), ha="center", va="center", fontsize=6.5, color=ink)
            starts[row] += share
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    axes.set_title(f"{shortened([column], LONGEST)[column]} (cases)")
    _rows(axes, list(shown.rows))
    axes.grid(False)
    _legend(axes, 4 if max(map(len, names.values()), default=0) < 10 else 2)


def _rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), list(shortened(names, LONGEST).values()))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", colors=MUTED)
    axes.spines["left"].set_visible(False)


def _legend(axes: Axes, columns: int) -> None:
    """Below the numbers of the x axis, however high the axes are."""
    from matplotlib.transforms import ScaledTranslation

    below = axes.transAxes + ScaledTranslation(0, -0.22, axes.figure.dpi_scale_trans)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles=handles,
        labels=labels,
        loc="upper left",
        bbox_to_anchor=(0.0, 0.0),
        bbox_transform=below,
        ncols=columns,
        borderaxespad=0.0,
        handlelength=1.0,
        columnspacing=1.2,
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
