"""Turns every volume the same way round."""

from hilum.prepare.base import PrepareConfig
from hilum.volume import Volume, resample


class CanonicalConfig(PrepareConfig, kind="canonical"):
    """Axes permuted and flipped to point right, anterior and superior; no value changes.

    An image in pixels has no patient directions and passes as it is.
    """

    def apply(self, image: Volume, label: Volume | None) -> tuple[Volume, Volume | None]:
        """The same voxels in canonical order."""
        if image.grid.unit == "pixel":
            return image, label
        grid = image.grid.canonical()
        return resample(image, grid, "nearest"), label and resample(label, grid, "nearest")
