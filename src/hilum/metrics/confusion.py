"""Counts of true against predicted classes, over many weightings of the same cases at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ClassCounts:
    """Each class against the rest, all (R, C): true and false positives, false and true negatives."""

    tp: Floats
    fp: Floats
    fn: Floats
    tn: Floats


def confusion(truth: npt.NDArray[np.int64], probabilities: Floats, weights: Floats) -> Floats:
    """Counts (R, C, C), true class by predicted class: the one of highest probability, the first of equals.

    Truth (N,) as class indices, probabilities (N, C), weights (R, N).
    """
    num_classes = probabilities.shape[1]
    cells = truth * num_classes + probabilities.argmax(axis=1)
    by_cell = np.zeros((len(truth), num_classes**2))
    by_cell[np.arange(len(truth)), cells] = 1
    return (weights @ by_cell).reshape(-1, num_classes, num_classes)


def class_counts(counts: Floats) -> ClassCounts:
    """Each class against the rest, from counts (R, C, C)."""
    tp = np.diagonal(counts, axis1=1, axis2=2)
    fp, fn = counts.sum(axis=1) - tp, counts.sum(axis=2) - tp
    return ClassCounts(tp, fp, fn, counts.sum(axis=(1, 2))[:, None] - tp - fp - fn)


def ratio(part: Floats, whole: Floats) -> Floats:
    """part / whole, NaN where the whole is zero."""
    return np.divide(part, whole, out=np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan), where=whole > 0)


def mean_of_defined(values: Floats) -> Floats:
    """Mean (R,) over the classes of (R, C) whose value is not NaN; NaN where none is."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0).sum(axis=1), defined.sum(axis=1).astype(np.float64))
