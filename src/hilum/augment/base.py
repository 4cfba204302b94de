"""The roots of all augmentations, and the frame that says what the axes of a batch mean."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from hilum.registry import Component
from hilum.volume import Grid

Draws = dict[str, npt.NDArray[np.generic]]
"""One sample's parameters: the same keys, shapes and types at every draw."""
Share = Annotated[float, Field(ge=0, le=1)]


def rising(bounds: tuple[float, float]) -> tuple[float, float]:
    """Two bounds as they are. Raises ValueError where the first is above the second."""
    if bounds[0] > bounds[1]:
        raise ValueError("the lower bound first")
    return bounds


Strengths = Annotated[tuple[NonNegativeFloat, NonNegativeFloat], AfterValidator(rising)]
"""Bounds that a strength is drawn between; 0 does nothing."""
Factors = Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(rising)]
"""Bounds that a factor is drawn between, evenly on a logarithmic scale; 1 does nothing."""
ANATOMICAL = ("left_right", "posterior_anterior", "inferior_superior")


@dataclass(frozen=True)
class Frame:
    """What the spatial axes of a batch mean: sizes, distance between voxels (mm or pixels) and names."""

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    axes: tuple[str, ...]
    channels: int = 1

    @classmethod
    def of(cls, grid: Grid, shape: tuple[int, ...], *, channels: int = 1, slice_axis: int = 2) -> Self:
        """The frame of patches of `shape` from volumes on `grid`; two sizes mean slices along `slice_axis`.

        Axes are named after the patient where the grid is canonical, after the picture for pixels, else i, j and k.
        """
        names: tuple[str, ...] = ("i", "j", "k")
        if grid.unit == "pixel":
            names = ("vertical", "horizontal", "depth")
        elif grid.orientation == ("R", "A", "S"):
            names = ANATOMICAL
        kept = [axis for axis in range(3) if len(shape) == 3 or axis != slice_axis]
        return cls(shape, tuple(grid.spacing[axis] for axis in kept), tuple(names[axis] for axis in kept), channels)

    @cached_property
    def extent(self) -> tuple[float, ...]:
        """Length of each axis from outer edge to outer edge, in the unit of `spacing`."""
        return tuple(size * step for size, step in zip(self.shape, self.spacing, strict=True))


class AugmentConfig(Component, family="augment"):
    """A random change of training samples.

    Every draw is a pure function of the generator and the frame, so that a sample looks the same whatever batch,
    worker or process it is in. Geometry works in mm (pixels for pictures). Intensities are measured by each
    channel's own range, mean or standard deviation, so that z-scored images and images in [0, 1] are treated alike.
    """

    probability: Share = 1.0
    """Share of the samples that this step changes."""

    def faults(self, frame: Frame) -> list[str]:
        """Why this step cannot act on such samples; empty where it can."""
        del frame
        return []

    def draw(self, rng: np.random.Generator, frame: Frame) -> Draws:
        """The parameters of one sample."""
        raise NotImplementedError


class FlipAugment(AugmentConfig):
    """A step that only reorders voxels, exactly."""

    def apply(self, images: Tensor, targets: Tensor, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Images (B, C, *spatial) and targets (B,), (B, T) or (B, ..., *spatial), reordered alike."""
        raise NotImplementedError


class SpatialAugment(AugmentConfig):
    """A step that moves points; all such steps together cost one interpolation."""

    def warp(self, points: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Where the result takes its values from: points (B, dims, *spatial), from the centre, in the frame's unit."""
        raise NotImplementedError


class IntensityAugment(AugmentConfig):
    """A step that changes values where they are and leaves targets alone."""

    def apply(self, images: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Changed images (B, C, *spatial), as a new tensor."""
        raise NotImplementedError


def factor(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    """A factor between `bounds`, as likely to halve as to double."""
    return math.exp(rng.uniform(math.log(bounds[0]), math.log(bounds[1])))
