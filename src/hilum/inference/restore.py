"""From probabilities on a prepared grid to label values on the image's own grid."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from hilum.problem import Problem
from hilum.volume import Grid, Volume, resample

SLAB_NUMBERS = 2**25
"""Most probabilities on the image's grid at a time: 128 MiB of float32, however many classes or slices there are."""
MARGIN_VOXELS = 2
"""Neighbours that linear interpolation needs around a slab, and one more for rounding."""


def to_source(probabilities: Volume, source: Grid, problem: Problem) -> Volume:
    """Label values (1, I, J, K) on the grid `source` from probabilities (num_outputs, ...) on a prepared grid.

    Probabilities are interpolated linearly before the decision, slab by slab along the first axis of `source`, so
    that memory does not grow with classes times volume. What lies outside the prepared field of view (cropped away)
    was never seen and becomes background. The result is on the CPU.
    """
    rows = source.shape[1] * source.shape[2] * problem.num_outputs
    depth = max(1, SLAB_NUMBERS // rows)
    labels: list[Tensor] = []
    for start in range(0, source.shape[0], depth):
        slab = source.cropped((start, 0, 0), (min(start + depth, source.shape[0]), *source.shape[1:]))
        labels.append(problem.decode(_onto(_needed(probabilities, slab), slab, problem)).cpu())
    return Volume(torch.cat(labels)[None], source)


def _onto(probabilities: Volume, grid: Grid, problem: Problem) -> Tensor:
    """Probabilities at the voxels of `grid`; outside their field of view the background is certain."""
    if not problem.exclusive:
        return _sampled(probabilities.tensor, probabilities.grid, grid, outside=0.0)
    background = _sampled(probabilities.tensor[:1], probabilities.grid, grid, outside=1.0)
    classes = _sampled(probabilities.tensor[1:], probabilities.grid, grid, outside=0.0)
    return torch.cat([background, classes])


def _sampled(tensor: Tensor, source: Grid, target: Grid, *, outside: float) -> Tensor:
    """Linear interpolation without smoothing: a map already smooth would shrink again, and thin structures first."""
    return resample(Volume(tensor, source), target, antialias=False, outside=outside).tensor


def _needed(probabilities: Volume, slab: Grid) -> Volume:
    """The part of `probabilities` that the voxels of `slab` can depend on: sampling reads no further."""
    index_map = np.linalg.solve(probabilities.grid.affine, slab.affine)
    corners = np.array([(*corner, 1.0) for corner in itertools.product(*((0, size - 1) for size in slab.shape))])
    touched = (corners @ index_map.T)[:, :3]
    last = np.array(probabilities.grid.shape) - 1
    start = np.clip(np.floor(touched.min(0)) - MARGIN_VOXELS, 0, last).astype(int)
    stop = np.clip(np.ceil(touched.max(0)) + MARGIN_VOXELS, start, last).astype(int) + 1
    i, j, k = (slice(first, last) for first, last in zip(start, stop, strict=True))
    return Volume(probabilities.tensor[:, i, j, k], probabilities.grid.cropped(start, stop))
