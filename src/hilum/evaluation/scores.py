"""A score with its interval, as a summary holds it, and those of a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hilum.evaluation.closed_forms import Decisions, closed_forms
from hilum.evaluation.intervals import Bootstrap, owners, resampled_scores

if TYPE_CHECKING:
    import numpy.typing as npt

    from hilum.evaluation.closed_forms import Interval
    from hilum.metrics.base import CohortMetric

    Floats = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int64]
    Score = dict[str, Any]

FEW_OF_A_KIND = "no interval: it needs cases of the class, and others, of at least two patients each"
FLAT = "that is no certainty about other patients"
RESAMPLED = ("bca", "percentile")
"""Only scores that have both ends name one of these as their method."""
ROUNDING = 1e-9
"""A width below this share of the value comes from rounding."""
MOST_NAMED = 6
"""Scores that a note names."""
UNSTABLE_SHARE = 0.05
"""An interval is called unstable where it is undefined in more of the resamples than this."""


def score(value: float, values: Floats | None, bootstrap: Bootstrap | None) -> Score:
    """A value and its interval from the values in all weightings; None stands for what is undefined, as in JSON."""
    found: Score = {"value": None if np.isnan(value) else value, "low": None, "high": None}
    if np.isnan(value) or bootstrap is None or values is None:
        return found
    ends = bootstrap.interval(values)
    if ends is not None:
        method = "percentile" if bootstrap.method == "percentile" else "bca"
        found |= {"low": ends[0], "high": ends[1], "method": method}
    undefined = int(np.isnan(bootstrap.drawn(values)).sum())
    return {**found, "resamples_undefined": undefined} if undefined else found


def classifier_scores(
    metric: CohortMetric,
    truth: Indices,
    *,
    probabilities: Floats,
    classes: Sequence[str],
    patients: Sequence[str],
    bootstrap: Bootstrap | None,
) -> dict[str, Score]:
    """The scores of a metric by name, with intervals: by a formula where there is one and the method is `auto`."""
    values = metric.score(truth, probabilities, classes)
    if bootstrap is None:
        return {name: score(value, None, None) for name, value in values.items()}
    seen = Decisions(truth, probabilities, classes, owners(patients)[0])
    closed = closed_forms(metric, seen, level=bootstrap.level) if bootstrap.method == "auto" else {}
    drawn: dict[str, Floats] = {}
    if set(values) - set(closed):
        drawn = resampled_scores(
            metric, truth, probabilities=probabilities, classes=classes, patients=patients, bootstrap=bootstrap
        )
    return {
        name: closed_score(value, closed[name]) if name in closed else score(value, drawn[name], bootstrap)
        for name, value in values.items()
    }


def instability(name: str, found: Score, bootstrap: Bootstrap | None) -> str:
    """What has to be said of a score whose interval cannot be relied on; empty where it can."""
    if found.get("note") == FEW_OF_A_KIND:
        return f"{name}: {FEW_OF_A_KIND}"
    undefined = int(found.get("resamples_undefined", 0))
    if bootstrap is None or undefined <= UNSTABLE_SHARE * bootstrap.resamples:
        return ""
    return (
        f"{name}: undefined in {undefined} of {bootstrap.resamples} resamples of so few patients, "
        "do not rely on its interval"
    )


def flat_note(scores: Mapping[str, Score]) -> str:
    """What has to be said of scores by name whose interval has no width though it is a bootstrap's; empty without any.

    Where all patients are alike, every resample gives the same value: that bounds nothing about other patients.
    """
    flat = [
        name
        for name, found in scores.items()
        if found.get("method") in RESAMPLED and found["high"] - found["low"] <= ROUNDING * max(1.0, abs(found["value"]))
    ]
    if not flat:
        return ""
    more = len(flat) - MOST_NAMED
    named = ", ".join(flat[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"{named}: every resample of these patients gives the same value, so that the interval has no width; {FLAT}"


def closed_score(value: float, interval: Interval) -> Score:
    """A value with an interval that a formula gave."""
    if np.isnan(value):
        return {"value": None, "low": None, "high": None}
    if interval.ends is None:
        return {"value": value, "low": None, "high": None, "note": FEW_OF_A_KIND}
    return {"value": value, "low": interval.ends[0], "high": interval.ends[1], "method": interval.method}
