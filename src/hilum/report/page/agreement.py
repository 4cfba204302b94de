"""Agreement of volumes: the difference of prediction and truth over their mean (Bland and Altman 1986)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from hilum.evaluation.rows import Row
from hilum.report.page.chart import Drawing, Frame, dot, line, padded, text
from hilum.report.page.markup import fixed
from hilum.report.page.palette import hue
from hilum.report.page.wording import compact, count_digits

MOST_SHOWN = 800
"""Points of a chart; of more cases, those whose volumes differ most."""
LIMIT = 1.96
"""Standard deviations from the mean within which 95 % of normally distributed differences lie."""
ABOVE, BELOW = -5, 13
"""Where the words of a line stand, in units of the chart."""


@dataclass(frozen=True)
class Agreement:
    """Volumes of one structure that truth or prediction have: means and differences (N,), bias and limits."""

    rows: Sequence[Row]
    means: Sequence[float]
    differences: Sequence[float]
    unit: str

    @property
    def bias(self) -> float:
        """Mean of prediction - truth."""
        return float(np.mean(self.differences))

    @property
    def limits(self) -> tuple[float, float]:
        """bias - and + 1.96 standard deviations of the differences."""
        spread = LIMIT * float(np.std(self.differences, ddof=1))
        return self.bias - spread, self.bias + spread


def agreement(rows: Sequence[Row], structure: str) -> Agreement | None:
    """How the volumes of a structure agree, in ml where all images have a size, else in voxels.

    None with fewer than two cases that have it in truth or prediction.
    """
    there = [row for row in rows if row["class"] == structure and row["status"] != "absent"]
    if len(there) < 2:
        return None
    sized = all(row.get("truth_ml") is not None and row.get("predicted_ml") is not None for row in there)
    unit = "ml" if sized else "voxels"
    true, found = ([float(row[f"{side}_{unit}"] or 0) for row in there] for side in ("truth", "predicted"))
    means = [(one + other) / 2 for one, other in zip(true, found, strict=True)]
    differences = [other - one for one, other in zip(true, found, strict=True)]
    return Agreement(there, means, differences, unit)


def agreement_chart(found: Agreement, structure: str, number: int) -> Drawing:
    """The differences of one structure over the means, with bias and limits of agreement."""
    low, high = found.limits
    digits = count_digits([low, high]) if found.unit == "ml" else 0
    up = padded([*found.differences, low, high, 0.0])
    frame = Frame.of(
        padded(found.means),
        up,
        titles=(f"mean of truth and prediction ({found.unit})", f"prediction \u2212 truth ({found.unit})"),
    )
    marks = [
        line(frame.at((frame.x.low, 0.0)), frame.at((frame.x.high, 0.0)), "axis"),
        *_level(frame, found.bias, "mean", f"bias {fixed(found.bias, digits)}", at_start=True),
        *_level(frame, low, "ref", fixed(low, digits), below=True),
        *_level(frame, high, "ref", fixed(high, digits)),
    ]
    marks += _points(frame, found, number)  # above the labels: words may not hide a case
    caption = (
        f"Bias {fixed(found.bias, digits)} {found.unit}; 95 % of differences are expected from {fixed(low, digits)} to "
        f"{fixed(high, digits)} {found.unit} (dashed: bias \u00b1 1.96 standard deviations, {len(found.rows)} cases)."
        + ("" if len(found.rows) <= MOST_SHOWN else f" Shown: the {MOST_SHOWN} that differ most.")
    )
    svg = frame.drawn(f"Volume agreement of {structure}: {caption}", *marks)
    return Drawing(f"volume_agreement_{number + 1}", f"Volume of {structure}", svg, caption)


def _points(frame: Frame, found: Agreement, number: int) -> list[Markup]:
    """A point a case; of very many, those whose volumes differ most."""
    ranked = sorted(range(len(found.rows)), key=lambda index: -abs(found.differences[index] - found.bias))
    return [
        dot(
            frame.at((found.means[index], found.differences[index])),
            f"dot point f{hue(number)}",
            title=f"{found.rows[index]['case_id']}: {compact(found.differences[index])} {found.unit} of "
            f"{compact(found.means[index])}",
        )
        for index in ranked[:MOST_SHOWN]
    ]


def _level(
    frame: Frame, value: float, kind: str, label: str, *, at_start: bool = False, below: bool = False
) -> list[Markup]:
    """A horizontal line across the chart, named at one end, above or below: three close ones shall all be readable."""
    start, stop = frame.at((frame.x.low, value)), frame.at((frame.x.high, value))
    x, y = start[0] if at_start else stop[0], start[1] + (BELOW if below else ABOVE)
    return [line(start, stop, kind), text((x, y), label, "tick halo", anchor="start" if at_start else "end")]
