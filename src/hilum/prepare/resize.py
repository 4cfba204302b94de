"""Gives every image the same number of voxels."""

from typing import ClassVar

from pydantic import PositiveInt

from hilum.prepare.base import PrepareConfig
from hilum.volume import Grid, Volume, resample


class ResizeConfig(PrepareConfig, kind="resize"):
    """A given number of voxels whatever the field of view, which is kept: linear for images, nearest for labels."""

    moves_only: ClassVar[bool] = True

    size: tuple[PositiveInt, PositiveInt] | tuple[PositiveInt, PositiveInt, PositiveInt]
    """Voxels along I and J, or along I, J and K; with two numbers K stays as it is."""
    antialias: bool = True
    """Smooth before an axis becomes coarser, so that detail finer than the new voxels does not turn into noise."""

    @property
    def fixed_size(self) -> tuple[int, ...]:
        """The size asked for."""
        return self.size

    def apply(self, image: Volume, label: Volume | None) -> tuple[Volume, Volume | None]:
        """The same field of view in `size` voxels."""
        grid = self.grid_after(image.grid)
        return resample(image, grid, antialias=self.antialias), label and resample(label, grid, "nearest")

    def grid_after(self, grid: Grid) -> Grid:
        """The same field of view in `size` voxels."""
        return grid.resized((*self.size, grid.shape[2])[:3])
