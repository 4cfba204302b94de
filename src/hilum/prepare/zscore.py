"""Gives every channel mean 0 and standard deviation 1."""

import torch
from torch import Tensor

from hilum.prepare.base import PrepareConfig
from hilum.volume import Grid, Volume

CONSTANT_SHARE = 1e-6
"""A spread below this share of the largest value is rounding: such a channel is constant."""


class ZscoreConfig(PrepareConfig, kind="zscore"):
    """Mean 0 and standard deviation 1 in every channel; a constant channel becomes 0."""

    nonzero: bool = False
    """Measure and change only voxels that are not exactly 0, for images whose background was set to 0."""

    def apply(self, image: Volume, label: Volume | None) -> tuple[Volume, Volume | None]:
        """The image with standardised channels."""
        channels = [standardised(channel, nonzero=self.nonzero) for channel in image.tensor.float()]
        return Volume(torch.stack(channels), image.grid), label

    @property
    def undoes(self) -> bool:
        """Where every voxel is changed alike."""
        return not self.nonzero

    def intensities(self, image: Volume) -> tuple[Tensor, Tensor]:
        """Standard deviation and mean of each channel; a constant channel comes back as it was."""
        channels = image.tensor.double().flatten(1)
        means, stds = channels.mean(1), channels.std(1, correction=0)
        constant = stds <= CONSTANT_SHARE * channels.abs().amax(1)
        return torch.where(constant, 1.0, stds).float(), means.float()

    def grid_after(self, grid: Grid) -> Grid:
        """The same grid."""
        return grid


def standardised(channel: Tensor, *, nonzero: bool = False) -> Tensor:
    """(x - mean) / std of any shape, with the population's std (divided by n, not n - 1)."""
    values = channel[channel != 0] if nonzero else channel
    if values.numel() == 0:
        return torch.zeros_like(channel)
    exact = values.double()  # float32 loses digits over millions of voxels
    mean = exact.mean()
    std = exact.sub_(mean).square_().mean().sqrt()  # in place: a volume of doubles takes long to allocate
    if std <= CONSTANT_SHARE * values.abs().max():
        return torch.zeros_like(channel)
    scaled = (channel - mean).div_(std)
    return torch.where(channel != 0, scaled, channel) if nonzero else scaled
