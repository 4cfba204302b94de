"""Pictures of a regression: predicted against true numbers, and their differences after Bland and Altman."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hilum.metrics.bland_altman import WIDTH
from hilum.report.figures import INK, MUTED, RIGHT, WRONG, figure

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

    Floats = npt.NDArray[np.float64]

ROW_INCH = 3.3


@dataclass(frozen=True)
class Numbers:
    """True and predicted values (N,) of one number, and its unit."""

    name: str
    unit: str
    truth: Floats
    predicted: Floats

    @property
    def label(self) -> str:
        """The name with its unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


def number_panels(shown: Sequence[Numbers], out: Path) -> None:
    """Writes a PNG with a row for each number: predicted against true, and differences against means."""
    with figure(7.4, ROW_INCH * len(shown), out) as picture:
        for (left, right), one in zip(picture.subplots(len(shown), 2, squeeze=False), shown, strict=True):
            _scatter(left, one)
            _differences(right, one)


def _scatter(axes: Axes, one: Numbers) -> None:
    both = np.concatenate([one.truth, one.predicted])
    ends = [float(both.min()), float(both.max())]
    axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.scatter(one.truth, one.predicted, s=14, color=RIGHT, alpha=0.7, linewidths=0)
    axes.set_xlabel(f"true {one.label}")
    axes.set_ylabel(f"predicted {one.label}")
    axes.set_title(f"{one.name}: predicted against true")


def _differences(axes: Axes, one: Numbers) -> None:
    difference = one.predicted - one.truth
    bias = float(difference.mean())
    axes.scatter((one.predicted + one.truth) / 2, difference, s=14, color=RIGHT, alpha=0.7, linewidths=0)
    axes.axhline(0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.axhline(bias, color=INK, linewidth=1.2, label=f"bias {bias:.3g}")
    if difference.size > 1:
        half = WIDTH * float(difference.std(ddof=1))
        for number, end in enumerate((bias - half, bias + half)):
            label = f"limits {bias - half:.3g} to {bias + half:.3g}" if not number else None
            axes.axhline(end, color=WRONG, linewidth=1.2, linestyle="--", label=label)
    axes.set_xlabel(f"mean of both, {one.label}")
    axes.set_ylabel("predicted less true")
    axes.set_title("Bland-Altman")
    axes.legend(loc="best", frameon=True, framealpha=0.85, edgecolor="none")
