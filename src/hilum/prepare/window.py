"""Maps a fixed range of intensities to [0, 1]."""

import torch
from pydantic import ValidationInfo, field_validator
from torch import Tensor

from hilum.prepare.base import PrepareConfig
from hilum.volume import Grid, Volume


class WindowConfig(PrepareConfig, kind="window"):
    """A fixed range of intensities to [0, 1], clipped: for CT in Hounsfield units, or 8-bit images."""

    low: float
    """Becomes 0, and so does everything below."""
    high: float
    """Becomes 1, and so does everything above."""

    @field_validator("high")
    @classmethod
    def _above_low(cls, high: float, info: ValidationInfo) -> float:
        if "low" in info.data and not high > info.data["low"]:
            raise ValueError(f"a number above low ({info.data['low']:g})")
        return high

    def apply(self, image: Volume, label: Volume | None) -> tuple[Volume, Volume | None]:
        """The image with values in [0, 1]."""
        scaled = (image.tensor.float() - self.low).div_(self.high - self.low)
        return Volume(scaled.clamp_(0, 1), image.grid), label

    @property
    def undoes(self) -> bool:
        """Always, but for what was clipped."""
        return True

    def intensities(self, image: Volume) -> tuple[Tensor, Tensor]:
        """Width and lower end of the window."""
        channels = len(image.tensor)
        return torch.full((channels,), self.high - self.low), torch.full((channels,), self.low)

    def grid_after(self, grid: Grid) -> Grid:
        """The same grid."""
        return grid
