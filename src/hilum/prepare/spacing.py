"""Gives every volume voxels of the same size."""

from pydantic import PositiveFloat

from hilum.errors import DataError
from hilum.prepare.base import PrepareConfig
from hilum.volume import Volume, resample


class SpacingConfig(PrepareConfig, kind="spacing"):
    """Voxels of a given size in mm: linear for images, nearest for labels."""

    mm: tuple[PositiveFloat | None, PositiveFloat | None, PositiveFloat | None]
    """Voxel size along each axis; null leaves an axis as it is, for thick slices."""
    antialias: bool = True
    """Smooth before an axis becomes coarser, so that detail finer than the new voxels does not turn into noise."""

    def apply(self, image: Volume, label: Volume | None) -> tuple[Volume, Volume | None]:
        """The same field of view in voxels of the wanted size; raises DataError for an image in pixels."""
        if image.grid.unit != "mm":
            raise DataError("preparation 'spacing' received an image without voxel size in mm: use 'resize' instead")
        grid = image.grid.respaced(self.mm)
        return resample(image, grid, antialias=self.antialias), label and resample(label, grid, "nearest")
