"""The words of the page: names of scores, parts and kinds of tasks, and sentences about counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hilum.errors import number_of

NAMES = {
    "dice": "Dice",
    "iou": "IoU",
    "hd": "Hausdorff distance",
    "hd95": "HD95",
    "assd": "ASSD",
    "nsd": "NSD",
    "cldice": "clDice",
    "boundary_iou": "boundary IoU",
    "auroc": "AUROC",
    "partial_auroc": "partial AUROC",
    "f1": "F1",
    "mcc": "MCC",
    "ece": "ECE",
    "nll": "NLL",
    "npv": "NPV",
    "brier": "Brier score",
}
"""Scores that the field writes in another way than the tables do."""
PARTS = {"val": "validation", "test": "test", "train": "training"}
WHOLES = {"external": "other data", "predictions": "outputs of another tool"}
"""What has been scored where it is no part of a split."""


def score_name(column: str) -> str:
    """A score as a reader of the field knows it: `hd95` is HD95, `nsd_2` NSD 2, `balanced_accuracy` two words."""
    if column in NAMES:
        return NAMES[column]
    base, _, rest = column.rpartition("_")
    if base in NAMES:
        return f"{NAMES[base]} {rest}"
    return column.replace("_", " ")


def with_unit(column: str, facts: Mapping[str, Any] | None) -> str:
    """A score's name and, in brackets, what it is measured in."""
    unit = (facts or {}).get("unit")
    return f"{score_name(column)} ({unit})" if unit else score_name(column)


def part_name(part: str) -> str:
    """The name of a part in a sentence."""
    return PARTS.get(part, part)


def scored_what(part: str) -> str:
    """What has been scored, in a sentence: the test part, or other data."""
    return WHOLES.get(part) or f"the {part_name(part)} part"


def listed(names: Sequence[str], last: str = "and") -> str:
    """a, b and c."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"


def cohort(cases: int, patients: int) -> str:
    """39 cases of 27 patients."""
    return f"{number_of(cases, 'case')} of {number_of(patients, 'patient')}"


def times(count: int) -> str:
    """Once, twice, 3 times."""
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def level(interval: Mapping[str, Any] | None) -> str:
    """95 % interval, or a plain one where nobody said how wide it is."""
    share = (interval or {}).get("level")
    return f"{100 * share:g} % interval" if isinstance(share, float) else "interval"


def count_digits(values: Sequence[float | None]) -> int:
    """Decimals for numbers of this size: three below 10, two below 100, one below 1000, none above."""
    finite = [abs(value) for value in values if value is not None and math.isfinite(value)]
    largest = max(finite, default=0.0)
    return next((digits for digits, bound in ((3, 10), (2, 100), (1, 1000)) if largest < bound), 0)


def compact(value: float) -> str:
    """A number in a sentence or a tooltip: four significant digits."""
    return f"{value:.4g}" if math.isfinite(value) else "none"


def moment(text: object) -> str:
    """A time of the run's files as people write it: 2026-11-21 19:34 UTC; other text as it is."""
    try:
        when = datetime.fromisoformat(str(text))
    except ValueError:
        return str(text)
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration(seconds: float) -> str:
    """45 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, left = divmod(minutes, 60)
    return f"{hours} h {left} min" if left else f"{hours} h"
