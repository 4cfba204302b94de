"""Cuts away the empty surroundings of the patient."""

from typing import ClassVar

from pydantic import NonNegativeInt

from hilum.errors import DataError
from hilum.prepare.base import PrepareConfig
from hilum.volume import Volume, resample


class CropForegroundConfig(PrepareConfig, kind="crop_foreground"):
    """The smallest box around all voxels brighter than a threshold in any channel."""

    moves_only: ClassVar[bool] = True

    threshold: float = 0.0
    """Voxels above this value are foreground; mind earlier steps: after zscore, 0 is the mean."""
    margin_voxels: NonNegativeInt = 0
    """Voxels kept around the box on every side, as far as the image reaches."""

    def apply(self, image: Volume, label: Volume | None) -> tuple[Volume, Volume | None]:
        """Image and label within the box of the image's foreground.

        Raises DataError for an image without foreground.
        """
        foreground = (image.tensor > self.threshold).any(0)
        if not foreground.any():
            brightest = float(image.tensor.max())
            raise DataError(
                f"preparation 'crop_foreground' found no voxel above {self.threshold:g}"
                f" (the brightest is {brightest:g}): lower 'threshold', or leave this image out"
            )
        start, stop = [], []
        for axis, size in enumerate(image.grid.shape):
            across = tuple(other for other in range(3) if other != axis)
            occupied = foreground.amax(across).nonzero()
            start.append(max(0, int(occupied[0]) - self.margin_voxels))
            stop.append(min(size, int(occupied[-1]) + 1 + self.margin_voxels))
        grid = image.grid.cropped(start, stop)
        return resample(image, grid, "nearest"), label and resample(label, grid, "nearest")
