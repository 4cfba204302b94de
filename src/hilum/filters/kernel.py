"""A linear filter by any kernel that is written into the configuration."""

from typing import Any

import numpy as np
from pydantic import PositiveFloat, field_validator

from hilum.filters.linear import DirectedFilter, Kernel

Rows = tuple[tuple[float, ...], ...]


class KernelConfig(DirectedFilter, kind="kernel"):
    """Sums weighted by a kernel of your own, in two or in three dimensions."""

    values: Rows | tuple[Rows, ...]
    """The weights: a list of rows, or a list of planes that are lists of rows. In words of the picture, rows run along
    the first axis (down) and the numbers of a row along the second."""
    divide_by: PositiveFloat = 1.0
    """What all weights are divided by, such as 9 for a mean of 3 x 3 voxels."""

    @field_validator("values")
    @classmethod
    def _refuse_ragged(cls, received: Any) -> Any:
        try:
            kernel = np.array(received, dtype=np.float64)
        except ValueError:
            raise ValueError("rows of equal length") from None
        if kernel.size == 0 or not kernel.any():
            raise ValueError("at least one weight that is not 0")
        return received

    def kernels(self, dims: int) -> list[list[Kernel]]:
        """The kernel as it is written, whatever the images."""
        del dims
        return [[np.array(self.values, dtype=np.float64) / self.divide_by]]

    def faults(self, dims: int) -> list[str]:
        """A kernel of another dimension."""
        written = np.ndim(self.values)
        return [] if written == dims else [f"values: received a {written}D kernel, expected a {dims}D one"]
