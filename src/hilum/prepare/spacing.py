"""Gives every volume voxels of the same size."""

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import PositiveFloat

from hilum.errors import DataError
from hilum.prepare.base import PrepareConfig
from hilum.volume import Grid, Volume, resample

ANISOTROPY = 3.0
"""An axis whose voxels are this many times longer than those of the others, and which has this many times fewer of
them, is that of thick slices."""
THICK_SLICES_PERCENTILE = 10.0
"""Of the thickness of slices in the training part: their median would throw away what the finer scans show."""


class SpacingConfig(PrepareConfig, kind="spacing"):
    """Voxels of a given size in mm: linear for images, nearest for labels."""

    moves_only: ClassVar[bool] = True

    fits_on: ClassVar[Literal["grids", "voxels"]] = "grids"

    mm: tuple[PositiveFloat | None, PositiveFloat | None, PositiveFloat | None] | Literal["median"]
    """Voxel size along each axis, where null leaves an axis as it is (thick slices); or median: that of the training
    part, whose numbers the resolved configuration holds."""
    antialias: bool = True
    """Smooth before an axis becomes coarser, so that detail finer than the new voxels does not turn into noise."""

    def apply(self, image: Volume, label: Volume | None) -> tuple[Volume, Volume | None]:
        """The same field of view in voxels of the wanted size; raises DataError for an image in pixels."""
        if image.grid.unit != "mm":
            raise DataError("preparation 'spacing' received an image without voxel size in mm: use 'resize' instead")
        grid = image.grid.respaced(self._found)
        return resample(image, grid, antialias=self.antialias), label and resample(label, grid, "nearest")

    def grid_after(self, grid: Grid) -> Grid:
        """The same field of view in voxels of the wanted size."""
        return grid.respaced(self._found)

    @property
    def needs_fit(self) -> bool:
        """Whether the median has yet to be found."""
        return self.mm == "median"

    def fitted_to(self, measured: Sequence[Grid], *, num_channels: int) -> Self:
        """The step with the voxel size that suits these grids; raises DataError where one of them is in pixels."""
        if any(grid.unit != "mm" for grid in measured):
            raise DataError("preparation 'spacing' received an image without voxel size in mm: use 'resize' instead")
        mm = usual_spacing([grid.spacing for grid in measured], [grid.shape for grid in measured])
        return self.model_copy(update={"mm": mm})

    @property
    def _found(self) -> tuple[float | None, float | None, float | None]:
        if self.mm == "median":
            raise DataError("preparation 'spacing' received mm: median, which has yet to be found in a training part")
        return self.mm


def usual_spacing(spacings: npt.ArrayLike, shapes: npt.ArrayLike) -> tuple[float, float, float]:
    """The voxel size in mm to prepare scans of these spacings (n, 3) and shapes (n, 3) to.

    The median along each axis; along that of thick slices the 10th percentile, but not finer than the other axes
    (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, supplementary note 2, and the planner of nnU-Net v2).
    """
    sizes_mm = np.asarray(spacings, dtype=np.float64)
    mm, voxels = np.median(sizes_mm, axis=0), np.median(np.asarray(shapes), axis=0)
    axis = int(mm.argmax())
    others = [other for other in range(3) if other != axis]
    finer = float(mm[others].max())
    if mm[axis] > ANISOTROPY * finer and voxels[axis] * ANISOTROPY < voxels[others].min():
        mm[axis] = max(float(np.percentile(sizes_mm[:, axis], THICK_SLICES_PERCENTILE)), finer)
    i, j, k = (round(float(size), 6) for size in mm)  # headers hold float32: 0.699999988 is 0.7
    return i, j, k
