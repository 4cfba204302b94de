"""Turns every volume the same way round."""

from typing import ClassVar

from hilum.prepare.base import PrepareConfig
from hilum.volume import Grid, Volume, resample


class CanonicalConfig(PrepareConfig, kind="canonical"):
    """Axes permuted and flipped to point right, anterior and superior; no value changes.

    An image in pixels has no patient directions and passes as it is.
    """

    moves_only: ClassVar[bool] = True

    def apply(self, image: Volume, label: Volume | None) -> tuple[Volume, Volume | None]:
        """The same voxels in canonical order."""
        if image.grid.unit == "pixel":
            return image, label
        grid = self.grid_after(image.grid)
        return resample(image, grid, "nearest"), label and resample(label, grid, "nearest")

    def grid_after(self, grid: Grid) -> Grid:
        """The same voxels in canonical order."""
        return grid if grid.unit == "pixel" else grid.canonical()
