"""Filters images by a small window: smoothing, sharpening, edges, or a kernel of one's own."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import PositiveInt, ValidationInfo, field_validator

from hilum.errors import DataError
from hilum.filters.base import FilterConfig, Padding, filtered
from hilum.prepare.base import PrepareConfig
from hilum.volume import Grid, Volume, resample


class FilterStepConfig(PrepareConfig, kind="filter"):
    """What a small window makes of each channel; a picture is filtered in 2D, a volume in 3D or slice by slice."""

    by: FilterConfig
    """The filter: see `hilum list filters`."""
    padding: Padding = "replicate"
    """What is put around the image: zero, constant, replicate (the border voxel), reflect (mirrored, 3 2 | 1 2 3) or
    symmetric (mirrored with the border voxel, 2 1 | 1 2 3); valid puts nothing there, and the image becomes smaller."""
    padding_value: float = 0.0
    """The value of `padding: constant`."""
    stride: PositiveInt = 1
    """Voxels from one window to the next along each filtered axis; above 1 the image, and its label map, become
    coarser by it."""
    slice_axis: Literal[0, 1, 2] | None = None
    """Filter the slices along this axis each by itself, in 2D; by default a volume is filtered in 3D."""

    @field_validator("padding_value")
    @classmethod
    def _refuse_without_effect(cls, received: float, info: ValidationInfo) -> float:
        if received and info.data.get("padding") != "constant":
            raise ValueError("padding: constant with it, which alone has a value")
        return received

    @field_validator("slice_axis")
    @classmethod
    def _refuse_other_dims(cls, received: int | None, info: ValidationInfo) -> int | None:
        by = info.data.get("by")
        faults = by.faults(2) if received is not None and isinstance(by, FilterConfig) else []
        if faults:
            raise ValueError(f"nothing, since slices are filtered in 2D: by.{faults[0]}")
        return received

    def apply(self, image: Volume, label: Volume | None) -> tuple[Volume, Volume | None]:
        """The filtered image, and the label map at the voxels that are left.

        Raises DataError for an image that is too small, or has another number of axes than the filter.
        """
        grid = self.grid_after(image.grid)
        axes = self._axes(image.grid.shape)
        images = image.tensor.float()
        # Slices become samples: (slices, C, *axes of a slice); a volume is one sample.
        across = next((axis for axis in range(3) if axis not in axes), None)
        images = images[None] if across is None else images.movedim(1 + across, 0)
        result = filtered(images, self.by, padding=self.padding, value=self.padding_value)
        for axis in range(2, result.ndim) if self.stride > 1 else ():
            result = result[(slice(None),) * axis + (slice(None, None, self.stride),)]
        result = result[0] if across is None else result.movedim(0, 1 + across)
        moved = label if label is None or grid == image.grid else resample(label, grid, "nearest")
        return Volume(result.contiguous(), grid), moved

    def grid_after(self, grid: Grid) -> Grid:
        """The voxels in whose middle a window lies. Raises DataError for an image that cannot be filtered."""
        axes = self._axes(grid.shape)
        faults = self.by.faults(len(axes))
        if faults:
            sizes = "x".join(map(str, grid.shape))
            raise DataError(f"preparation 'filter' by '{self.by.kind}' on an image of {sizes} voxels: {faults[0]}")
        start, step, shape = [0] * 3, [1] * 3, [*grid.shape]
        for axis, (before, after) in zip(axes, self.by.widths(len(axes)), strict=True):
            start[axis] = before if self.padding == "valid" else 0
            step[axis] = self.stride
            shape[axis] = self._length(grid.shape[axis], before, after)
            if shape[axis] < 1:
                raise DataError(
                    f"preparation 'filter' received an image of {grid.shape[axis]} voxels along axis {axis}, which is "
                    f"less than the {before + 1 + after} of '{self.by.kind}': take another padding than valid"
                )
        affine = grid.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ np.array(start)
        affine[:3, :3] *= step
        return Grid((shape[0], shape[1], shape[2]), affine, grid.unit)

    def size_after(self, size: tuple[int, ...] | None) -> tuple[int, ...] | None:
        """What is left of images of `size`."""
        if size is None:
            return None
        axes = [axis for axis in self._axes((*size, 1)[:3]) if axis < len(size)]
        lengths = list(size)
        for axis, (before, after) in zip(axes, self.by.widths(len(axes)), strict=False):
            lengths[axis] = max(1, self._length(size[axis], before, after))
        return tuple(lengths)

    def _axes(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The axes that are filtered."""
        across = 2 if self.slice_axis is None and shape[2] == 1 else self.slice_axis
        return tuple(axis for axis in range(3) if axis != across)

    def _length(self, length: int, before: int, after: int) -> int:
        return (length - (before + after if self.padding == "valid" else 0) - 1) // self.stride + 1
