"""Maps each channel's own range of intensities to [0, 1]."""

from typing import Annotated

import numpy as np
import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from hilum.prepare.base import PrepareConfig, by_channel
from hilum.volume import Grid, Volume

Percentage = Annotated[float, Field(ge=0, le=100)]


def above_low(high: float, info: ValidationInfo) -> float:
    """The upper of two percentages. Raises ValueError where it is not above the lower one."""
    if "low" in info.data and not high > info.data["low"]:
        raise ValueError(f"a percentage above low ({info.data['low']:g})")
    return high


class PercentilesConfig(PrepareConfig, kind="percentiles"):
    """The range between two percentiles of each channel to [0, 1], clipped; a constant channel becomes 0."""

    low: Percentage = 0.5
    """This percentile becomes 0."""
    high: Percentage = 99.5
    """This percentile becomes 1."""

    _above_low = field_validator("high")(above_low)

    def apply(self, image: Volume, label: Volume | None) -> tuple[Volume, Volume | None]:
        """The image with values in [0, 1]."""
        changed = by_channel(image.tensor.float(), lambda _, channel: between_percentiles(channel, self.low, self.high))
        return Volume(changed, image.grid), label

    @property
    def undoes(self) -> bool:
        """Always, but for what was clipped."""
        return True

    def intensities(self, image: Volume) -> tuple[Tensor, Tensor]:
        """Width and lower end of the range of each channel."""
        ends = [np.percentile(channel.cpu().numpy(), (self.low, self.high)) for channel in image.tensor.float()]
        lows, highs = torch.tensor(np.array(ends)).float().T
        return torch.where(highs > lows, highs - lows, 1.0), lows

    def grid_after(self, grid: Grid) -> Grid:
        """The same grid."""
        return grid


def between_percentiles(channel: Tensor, low: float, high: float) -> Tensor:
    """Values of any shape scaled so that the percentiles (linearly interpolated) become 0 and 1, clipped."""
    darkest, brightest = np.percentile(channel.cpu().numpy(), (low, high)).tolist()
    if not brightest > darkest:
        return torch.zeros_like(channel)
    return (channel - darkest).div_(brightest - darkest).clamp_(0, 1)
