"""Smooth random fields: cubic B-splines over a coarse lattice of control points."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

MARGIN = 3
"""A cubic spline over n intervals has n + 3 control points."""


def spread(coefficients: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The field (C, *shape) that control points (C, *coarse) span from edge to edge.

    A uniform cubic B-spline stays between the smallest and the largest of its control points.
    """
    field = coefficients.clone()  # aligned memory: matrix products round alike wherever the sample lay in its batch
    for axis, size in enumerate(shape, start=1):
        basis = torch.from_numpy(_basis(size, coefficients.shape[axis])).to(field.device)
        field = (field.movedim(axis, -1) @ basis.T).movedim(-1, axis)
    return field.contiguous()


@lru_cache(maxsize=64)
def _basis(size: int, points: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Weight of each control point at each voxel centre (size, points); rows sum to 1."""
    intervals = points - MARGIN
    place = (np.arange(size) + 0.5) / size * intervals
    first = np.minimum(place.astype(int), intervals - 1)
    t = place - first
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    basis = np.zeros((size, points), dtype=np.float32)
    for offset, weight in enumerate(weights):
        basis[np.arange(size), first + offset] = weight
    return basis
