"""Rotates, scales, shears and shifts samples."""

import math
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from hilum.augment.base import Draws, Factors, Frame, Share, SpatialAugment, factor

Matrix = npt.NDArray[np.float64]


class AffineConfig(SpatialAugment, kind="affine"):
    """Rotation, scale, shear and shift about the centre, in mm, so that thick slices rotate rigidly too."""

    rotate_degrees: Annotated[float, Field(ge=0, le=180)] = 10.0
    """Largest angle either way, in every plane."""
    scale: Factors = (0.9, 1.1)
    """Factors of size; above 1 makes things larger."""
    shear: NonNegativeFloat = 0.0
    """Largest sideways shift per mm, for every pair of axes."""
    translate: Share = 0.05
    """Largest shift either way along every axis, as a share of its extent."""
    probability: Share = 0.8
    """Share of the samples that this step changes."""

    def draw(self, rng: np.random.Generator, frame: Frame) -> Draws:
        """The matrix and the shift that take points of the result to points of the sample."""
        dims = len(frame.shape)
        planes = dims * (dims - 1) // 2
        signed = rng.uniform(-1, 1, 3 * planes + dims).tolist()
        angles = [math.radians(self.rotate_degrees) * value for value in signed[:planes]]
        shears = [self.shear * value for value in signed[planes : 3 * planes]]
        shifts = [self.translate * size * value for size, value in zip(frame.extent, signed[3 * planes :], strict=True)]
        matrix = backward_matrix(angles, factor(rng, self.scale), shears)
        return {"matrix": matrix.astype(np.float32), "shift": np.array(shifts, dtype=np.float32)}

    def warp(self, points: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Rotated, scaled, sheared and shifted points."""
        return moved(points, draws["matrix"], draws["shift"])


def backward_matrix(angles: list[float], scale: float, shears: list[float]) -> Matrix:
    """The matrix (dims, dims) whose inverse rotates by `angles`, scales and shears what the image shows.

    One angle in radians a plane: (0, 1) in 2D; (1, 2), (0, 2), (0, 1) in 3D, turning the first axis towards the second.
    Shears are the off-diagonal entries, row by row.
    """
    dims = 2 if len(angles) == 1 else 3
    matrix = np.eye(dims) / scale
    if any(shears):
        slant = np.eye(dims)
        slant[~np.eye(dims, dtype=bool)] = shears
        matrix = slant @ matrix
    planes = [(0, 1)] if dims == 2 else [(1, 2), (0, 2), (0, 1)]
    for (first, second), angle in zip(planes, angles, strict=True):
        turn = np.eye(dims)
        turn[first, first] = turn[second, second] = math.cos(angle)
        turn[first, second] = math.sin(angle)
        turn[second, first] = -turn[first, second]
        matrix = turn @ matrix
    return matrix


def moved(points: Tensor, matrices: Tensor, shifts: Tensor) -> Tensor:
    """Points (B, dims, *spatial) after one matrix (B, dims, dims) and shift (B, dims) a sample.

    Sums of products one by one: a batched matrix product may round differently with other batch mates.
    """
    dims = points.shape[1]
    result = shifts.view(*shifts.shape, *[1] * dims).expand_as(points).clone()
    columns = matrices.view(*matrices.shape, *[1] * dims)
    for column in range(dims):
        result += columns[:, :, column] * points[:, column : column + 1]
    return result
