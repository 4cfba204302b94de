"""Filters by differences along an axis that are smoothed across it: Sobel, Scharr, Prewitt."""

from typing import ClassVar, Literal

import numpy as np

from hilum.filters.linear import DirectedFilter, Kernel, along


class GradientFilter(DirectedFilter):
    """The difference of the next voxel and the one before along an axis, smoothed along all others."""

    smoothing: ClassVar[tuple[float, float, float]]
    """Weights of the neighbours across the axis."""

    axis: Literal[0, 1, 2] | None = None
    """The axis of the differences, counted among those that are filtered; by default all of them: the root of the sum
    of the squares of the differences along each."""

    def kernels(self, dims: int) -> list[list[Kernel]]:
        """For each axis of differences one factor along every axis."""
        difference, smoothing = np.array([-1.0, 0.0, 1.0]), np.array(self.smoothing)
        return [
            [along(other, dims, difference if other == axis else smoothing) for other in range(dims)]
            for axis in (range(dims) if self.axis is None else (self.axis,))
        ]

    def faults(self, dims: int) -> list[str]:
        """An axis that there is not."""
        if self.axis is None or self.axis < dims:
            return []
        return [f"axis: received {self.axis}, expected one of 0 to {dims - 1}, since {dims} axes are filtered"]


class SobelConfig(GradientFilter, kind="sobel"):
    """Edges: differences smoothed by 1, 2, 1 across (Sobel and Feldman 1968)."""

    smoothing: ClassVar[tuple[float, float, float]] = (1.0, 2.0, 1.0)


class ScharrConfig(GradientFilter, kind="scharr"):
    """Edges: differences smoothed by 3, 10, 3 across, nearly the same for all directions (Scharr 2000)."""

    smoothing: ClassVar[tuple[float, float, float]] = (3.0, 10.0, 3.0)


class PrewittConfig(GradientFilter, kind="prewitt"):
    """Edges: differences smoothed by 1, 1, 1 across (Prewitt 1970)."""

    smoothing: ClassVar[tuple[float, float, float]] = (1.0, 1.0, 1.0)
