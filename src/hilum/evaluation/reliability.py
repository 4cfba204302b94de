"""The numbers of a reliability diagram: how often cases of a probability are what it says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from hilum.evaluation.rows import PROBABILITY_PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from hilum.evaluation.rows import Row
    from hilum.problem import Problem

    Floats = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int64]
    Curve = list[dict[str, Any]]

BINS = 10
Z95 = 1.959963984540054
"""The normal quantile of a 95 % interval."""
CONFIDENCE = "predicted class"
"""The name of the curve of all decisions, of whatever class."""


def wilson(share: float, size: float) -> tuple[float, float]:
    """The 95 % interval of a share of `size` independent cases (Wilson 1927)."""
    spread = Z95**2 / size
    middle = share + spread / 2
    half = Z95 * math.sqrt(share * (1 - share) / size + spread / (4 * size))
    low, high = (middle - half) / (1 + spread), (middle + half) / (1 + spread)
    return max(0.0, min(low, share)), min(1.0, max(high, share))  # rounding aside, it holds the share


def reliability_curve(happened: npt.NDArray[np.bool_], claimed: Floats, patients: Sequence[str]) -> Curve:
    """The bins that hold a case: `low` and `high` edge, `cases`, `patients`, mean `claimed` and share `observed`.

    From whether each case (N,) happened to be what was claimed with a probability (N,). Bins have equal width and hold
    their upper edge. The interval `observed_low` to `observed_high` is Wilson's with the number of patients in place of
    that of cases: cases of one patient may all be right or wrong together.
    """
    edges = np.linspace(0, 1, BINS + 1)
    number = np.clip(np.searchsorted(edges, claimed, side="left") - 1, 0, BINS - 1)
    owners = np.array(patients)
    curve: Curve = []
    for index in np.unique(number):
        inside = number == index
        observed, size = float(happened[inside].mean()), len(set(owners[inside].tolist()))
        low, high = wilson(observed, size)
        curve.append(
            {
                "low": float(edges[index]),
                "high": float(edges[index + 1]),
                "cases": int(inside.sum()),
                "patients": size,
                "claimed": float(claimed[inside].mean()),
                "observed": observed,
                "observed_low": low,
                "observed_high": high,
            }
        )
    return curve


def reliability_of(
    truth: Indices, probabilities: Floats, *, classes: Sequence[str], patients: Sequence[str]
) -> dict[str, Curve]:
    """Curves by name from true classes (N,) and probabilities (N, C).

    Of two classes that of the second; of more that of all decisions and then of each class against the rest.
    """
    shown = [1] if len(classes) == 2 else range(len(classes))
    curves = {classes[one]: reliability_curve(truth == one, probabilities[:, one], patients) for one in shown}
    if len(classes) == 2:
        return curves
    right, confidence = probabilities.argmax(axis=1) == truth, probabilities.max(axis=1)
    return {CONFIDENCE: reliability_curve(right, confidence, patients), **curves}


def reliability_of_rows(rows: Sequence[Row], problem: Problem) -> dict[str, Curve]:
    """The same from the rows of a classification."""
    probabilities = np.array(
        [[row[f"{PROBABILITY_PREFIX}{name}"] for name in problem.classes] for row in rows], dtype=np.float64
    )
    truth = np.array([problem.classes.index(str(row["truth"])) for row in rows], dtype=np.int64)
    patients = [str(row["patient_id"]) for row in rows]
    return reliability_of(truth, probabilities, classes=problem.classes, patients=patients)
