"""Sums of products about the mean, over many weightings of the same numbers at once."""

import numpy as np

from hilum.metrics.base import Floats
from hilum.metrics.confusion import ratio

ROUNDING = 1e-12
"""A spread below this share of what its terms sum to is rounding: the numbers are equal."""


def centred_products(one: Floats, other: Floats, weights: Floats) -> Floats:
    """Sums (R,) of w (x - mean x) (y - mean y) from numbers x and y (N,) and weights w (R, N); the means are weighted.

    Exactly 0 where one of them is constant among the cases that count.
    """
    if not one.size:
        return np.zeros(len(weights))
    x, y = one - one.mean(), other - other.mean()  # first about one mean for all, so that no digits are lost
    total = weights.sum(axis=1)
    offsets = ratio(weights @ x, total), ratio(weights @ y, total)
    sums = weights @ (x * y) - np.nan_to_num(offsets[0] * offsets[1]) * total
    largest = np.sqrt((weights @ x**2) * (weights @ y**2))
    found: Floats = np.where(np.abs(sums) <= ROUNDING * largest, 0.0, sums)
    return found
