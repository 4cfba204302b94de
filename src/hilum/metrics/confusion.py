"""Counts of true against predicted classes, over many weightings of the same cases at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


def confusion(truth: npt.NDArray[np.int64], probabilities: Floats, weights: Floats) -> Floats:
    """Counts (R, C, C), true class by predicted class: the one of highest probability, the first of equals.

    Truth (N,) as class indices, probabilities (N, C), weights (R, N).
    """
    num_classes = probabilities.shape[1]
    cells = truth * num_classes + probabilities.argmax(axis=1)
    by_cell = np.zeros((len(truth), num_classes**2))
    by_cell[np.arange(len(truth)), cells] = 1
    return (weights @ by_cell).reshape(-1, num_classes, num_classes)


def ratio(part: Floats, whole: Floats) -> Floats:
    """part / whole, NaN where the whole is zero."""
    return np.divide(part, whole, out=np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan), where=whole > 0)


def mean_of_defined(values: Floats) -> Floats:
    """Mean (R,) over the classes of (R, C) whose value is not NaN; NaN where none is."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0).sum(axis=1), defined.sum(axis=1).astype(np.float64))
