"""The reliability diagram: how often it is true what a classifier says with which probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from hilum.errors import number_of
from hilum.metrics.confusion import ratio
from hilum.report.page.chart import Drawing, Frame, box, curve, dot, line
from hilum.report.page.ranking import Answers
from hilum.report.page.resampling import Floats

BINS = 10
COUNT_SHARE = 0.22
"""Height of the tallest bar of counts, as a share of the picture."""
PREDICTED = "predicted class"
"""The name of the curve of all decisions, of whatever class."""

Bin = Mapping[str, Any]


def reliability_bins(answers: Answers) -> dict[str, list[Bin]]:
    """The bins that hold a case, by the name of the curve, as a summary holds them: edges `low` and `high`, `cases`,
    mean probability `claimed`, share `observed` that came true, and its interval by bootstrap.

    Of two classes the probability is that of the second; of more, that of the predicted class. Bins have equal width
    and hold their upper edge, as in Guo et al. (2017).
    """
    said, true = _claims(answers)
    number = np.clip(np.searchsorted(np.linspace(0, 1, BINS + 1), said, side="left") - 1, 0, BINS - 1)
    inside = np.eye(BINS)[number]
    sizes = inside.sum(axis=0)
    observed = _observed(inside, true, np.ones((1, len(said))))[0]
    claimed = ratio(said @ inside, sizes)
    ends = answers.resampling.band(partial(_observed, inside, true))
    bins: list[Bin] = []
    for index in np.flatnonzero(sizes):
        found = {"low": index / BINS, "high": (index + 1) / BINS, "cases": int(sizes[index])}
        found |= {"claimed": float(claimed[index]), "observed": float(observed[index])}
        if ends is not None:
            found |= {"observed_low": float(ends[0][index]), "observed_high": float(ends[1][index])}
        bins.append(found)
    return {answers.classes[1] if len(answers.classes) == 2 else PREDICTED: bins}


def reliability(curves: Mapping[str, Sequence[Bin]]) -> list[Drawing]:
    """A diagram for each curve: observed share over predicted probability, and how many cases each bin has."""
    return [_diagram(name, bins, number) for number, (name, bins) in enumerate(curves.items()) if bins]


def _diagram(name: str, bins: Sequence[Bin], number: int) -> Drawing:
    event = f"the {name}" if name == PREDICTED else name
    frame = Frame.square(titles=(f"predicted probability of {event}", "observed share"))
    marks = [*_bars(frame, bins), curve(frame.path([(0, 0), (1, 1)]), "ref"), *_points(frame, bins)]
    caption = (
        f"Of the cases called {event} with a probability of 0.8, 80 % should be: points on the dashed line are "
        "calibrated, points below it overconfident. Bars: how many cases; lines: 95 % intervals that count patients."
    )
    svg = frame.drawn(f"Reliability of the probability of {event} in {len(bins)} bins", *marks)
    title = "Reliability" if not number else f"Reliability: {name}"
    return Drawing("reliability" if not number else f"reliability_{number + 1}", title, svg, caption)


def _points(frame: Frame, bins: Sequence[Bin]) -> list[Markup]:
    marks = [curve(frame.path((each["claimed"], each["observed"]) for each in bins), "curve thin l1")]
    for each in bins:
        title = f"{number_of(each['cases'], 'case')} between {each['low']:.2g} and {each['high']:.2g}: "
        title += f"predicted {each['claimed']:.3f}, observed {each['observed']:.3f}"
        low, high = each.get("observed_low"), each.get("observed_high")
        if low is not None and high is not None:
            ends = (frame.at((each["claimed"], low)), frame.at((each["claimed"], high)))
            marks.append(line(*ends, "whisker l1"))
            title += f" ({low:.3f} to {high:.3f})"
        marks.append(dot(frame.at((each["claimed"], each["observed"])), "dot f1", title=title, radius=4.5))
    return marks


def _bars(frame: Frame, bins: Sequence[Bin]) -> list[Markup]:
    """How many cases each bin has, along the lower edge."""
    tallest = COUNT_SHARE * (frame.y.start - frame.y.stop)
    most = max(each["cases"] for each in bins)
    bars = []
    for each in bins:
        left, right = frame.x(each["low"]), frame.x(each["high"])
        height = tallest * each["cases"] / most
        bars.append(box((left + 1, frame.y.start - height), (right - left - 2, height), "count"))
    return bars


def _claims(answers: Answers) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The probability (N,) that each case was given, and whether it came true (N,)."""
    if len(answers.classes) == 2:
        return answers.probabilities[:, 1], answers.truth == 1
    return answers.probabilities.max(axis=1), answers.probabilities.argmax(axis=1) == answers.truth


def _observed(inside: Floats, true: npt.NDArray[np.bool_], weights: Floats) -> Floats:
    """The share (r, BINS) that came true in each bin; NaN in empty ones."""
    return ratio(weights @ (inside * true[:, None]), weights @ inside)
