"""ROC and precision-recall curves of a classifier with bootstrap bands, from the probabilities in cases.csv."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from hilum.metrics.curves import Ranking, ranking
from hilum.report.page.chart import Drawing, Frame, Point, curve, dot, line_kind, short
from hilum.report.page.markup import fixed
from hilum.report.page.palette import hue
from hilum.report.page.resampling import Floats, Resampling

GRID = np.linspace(0, 1, 101)
MOST_BANDS = 3
"""More bands than this hide each other."""
MOST_CURVES = 12
LONGEST = 18
"""Letters of a class name in a legend."""
AT_POINT = " Dot: where the threshold that was chosen on validation lies here."
POOLED = "all together (micro)"
"""The curve of all decisions, each class of each case being one."""


@dataclass(frozen=True)
class Answers:
    """What a classifier said of N cases: truth (N,) as class indices, probabilities (N, C)."""

    truth: npt.NDArray[np.int64]
    probabilities: Floats
    classes: Sequence[str]
    case_ids: Sequence[str]
    patients: Sequence[str]
    seed: int = 0
    decided: npt.NDArray[np.int64] | None = None
    """Classes (N,) that a threshold decided on; None where the most likely class was taken."""

    @property
    def resampling(self) -> Resampling:
        """Resamples of the patients of these cases."""
        return Resampling(self.patients, self.seed)

    @property
    def ranked(self) -> list[int]:
        """The classes that have a curve: the second of two, otherwise all that some cases are of and some are not."""
        present = np.bincount(self.truth, minlength=len(self.classes))
        wanted = [1] if len(self.classes) == 2 else range(len(self.classes))
        return [index for index in wanted if 0 < present[index] < len(self.truth)]

    @property
    def operating_point(self) -> tuple[float, float, float] | None:
        """1 - specificity, sensitivity and precision of what a threshold decided about two classes; None without it."""
        if self.decided is None or len(self.classes) != 2 or not self.ranked or not self.decided.any():
            return None
        true, said = self.truth == 1, self.decided == 1
        return float(said[~true].mean()), float(said[true].mean()), float(true[said].mean())

    def ranking(self, index: int, weights: Floats) -> Ranking:
        """The cases ranked by the probability of one class."""
        return ranking(self.truth == index, self.probabilities[:, index], weights)

    @property
    def pooled(self) -> Ranking | None:
        """The decisions about all classes ranked together; None of two classes, whose decisions are the same twice."""
        if len(self.classes) == 2 or not self.ranked:
            return None
        members = np.eye(len(self.classes), dtype=bool)[self.truth]
        return ranking(members.ravel(), self.probabilities.ravel(), np.ones((1, members.size)))


def roc(answers: Answers, overall: Mapping[str, Any]) -> Drawing | None:
    """Sensitivity over 1 - specificity; areas as the summary holds them. None where no class has a curve."""
    frame = Frame.square(titles=("1 \u2212 specificity", "sensitivity"))
    chance = curve(frame.path([(0, 0), (1, 1)]), "ref")
    drawn = _curves(answers, frame, points=_roc_points, values=_sensitivities)
    names = _names(answers, overall, "auroc")
    at = [] if answers.operating_point is None else [_at(frame, *answers.operating_point[:2])]
    caption = (
        f"Sensitivity and specificity at every threshold. The dashed diagonal is chance; {_said_of_bands(answers)}"
        + (AT_POINT if at else "")
    )
    return _drawing("roc", "ROC curve", (frame, [chance, *drawn, *at], names), caption) if drawn else None


def precision_recall(answers: Answers, overall: Mapping[str, Any]) -> Drawing | None:
    """Precision over recall; areas as the summary holds them. None where no class has a curve."""
    frame = Frame.square(titles=("recall (sensitivity)", "precision (positive predictive value)"))
    shares = [float(np.mean(answers.truth == index)) for index in answers.ranked]
    chance = [curve(frame.path([(0, shares[0]), (1, shares[0])]), "ref")] if len(shares) == 1 else []
    drawn = _curves(answers, frame, points=_precision_points, values=_precisions)
    names = _names(answers, overall, "average_precision")
    caption = f"How many of those called positive are positive; {_said_of_bands(answers)}"
    if chance:
        caption += f" The dashed line is the share of {answers.classes[answers.ranked[0]]} cases, {shares[0]:.1%}."
    at = [] if answers.operating_point is None else [_at(frame, *answers.operating_point[1:])]
    caption += AT_POINT if at else ""
    parts = (frame, [*chance, *drawn, *at], names)
    return _drawing("precision_recall", "Precision and recall", parts, caption) if drawn else None


def _drawing(name: str, title: str, parts: tuple[Frame, list[Markup], list[str]], caption: str) -> Drawing:
    frame, marks, names = parts
    return Drawing(name, title, frame.drawn(f"{title}: {'; '.join(names)}", *marks, names=names), caption)


def _at(frame: Frame, across: float, up: float) -> Markup:
    """The dot of the operating point."""
    return dot(frame.at((across, up)), "mean-dot", title=f"operating point: {across:.3f}, {up:.3f}", radius=4.6)


def _said_of_bands(answers: Answers) -> str:
    if len(answers.ranked) > MOST_BANDS:
        return "bands are left out because there are too many curves."
    return "bands hold 95 % of the curves of 200 bootstrap resamples of the patients, point by point."


def _names(answers: Answers, overall: Mapping[str, Any], column: str) -> list[str]:
    """Each curve's class and, where the summary holds it, the area below the curve with its interval."""
    two = len(answers.classes) == 2
    names = [
        _named(answers.classes[index], overall.get(column if two else f"{column}_{answers.classes[index]}") or {})
        for index in answers.ranked[:MOST_CURVES]
    ]
    return names if answers.pooled is None else [*names, _named(POOLED, overall.get(f"{column}_micro") or {})]


def _named(name: str, entry: Mapping[str, Any]) -> str:
    value, low, high = (entry.get(key) for key in ("value", "low", "high"))
    area = "" if value is None else f": area {fixed(value, 3)}"
    ends = "" if low is None or high is None else f" ({fixed(low, 3)} to {fixed(high, 3)})"
    return short(name, LONGEST if name != POOLED else len(POOLED)) + area + ends


def _curves(
    answers: Answers,
    frame: Frame,
    *,
    points: Callable[[Ranking], list[Point]],
    values: Callable[[Ranking], Floats],
) -> list[Markup]:
    """The band of each class below all curves."""
    once = np.ones((1, len(answers.truth)))
    bands: list[Markup] = []
    lines: list[Markup] = []
    for place, index in enumerate(answers.ranked[:MOST_CURVES]):
        lines.append(curve(frame.path(points(answers.ranking(index, once))), line_kind(place)))
        if len(answers.ranked) <= MOST_BANDS:
            ends = answers.resampling.band(partial(_resampled, answers, index, values))
            bands += [] if ends is None else [curve(_area(frame, *ends), f"band f{hue(place)}")]
    if answers.pooled is not None:
        lines.append(curve(frame.path(points(answers.pooled)), line_kind(len(lines))))
    return [*bands, *lines]


def _resampled(answers: Answers, index: int, values: Callable[[Ranking], Floats], weights: Floats) -> Floats:
    return values(answers.ranking(index, weights))


def _area(frame: Frame, low: Floats, high: Floats) -> str:
    known = ~np.isnan(low)
    across = GRID[known].tolist()
    there = list(zip(across, low[known].tolist(), strict=True))
    back = list(zip(across, high[known].tolist(), strict=True))[::-1]
    return frame.path([*there, *back]) + "Z"


def _roc_points(ranked: Ranking) -> list[Point]:
    return list(zip(ranked.false_positive_rate[0].tolist(), ranked.sensitivity[0].tolist(), strict=True))


def _precision_points(ranked: Ranking) -> list[Point]:
    return list(zip(ranked.sensitivity[0, 1:].tolist(), ranked.precision[0, 1:].tolist(), strict=True))


def _sensitivities(ranked: Ranking) -> Floats:
    """Sensitivity (r, G) at each share of false positives."""
    values = []
    for across, up in zip(ranked.false_positive_rate, ranked.sensitivity, strict=True):
        one_kind = np.isnan(across[-1]) or np.isnan(up[-1])  # a resample may hold cases of one class only
        values.append(np.full(GRID.shape, np.nan) if one_kind else np.interp(GRID, across, up))
    return np.stack(values)


def _precisions(ranked: Ranking) -> Floats:
    """Precision (r, G) at the first threshold that reaches each recall."""
    values = []
    for recall, precision in zip(ranked.sensitivity[:, 1:], ranked.precision[:, 1:], strict=True):
        first = np.searchsorted(recall, GRID - 1e-12, side="left").clip(max=len(recall) - 1)
        values.append(np.where(np.isnan(recall[-1]), np.nan, precision[first]))
    return np.stack(values)
