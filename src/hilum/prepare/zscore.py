"""Gives every channel mean 0 and standard deviation 1."""

import torch
from torch import Tensor

from hilum.prepare.base import PrepareConfig, by_channel
from hilum.volume import Grid, Volume

CONSTANT_SHARE = 1e-6
"""A spread below this share of the largest value is rounding: such a channel is constant."""
PART_VOXELS = 2**22
"""Voxels that are turned into float64 at a time: all of a large volume at once would take twice its memory."""


class ZscoreConfig(PrepareConfig, kind="zscore"):
    """Mean 0 and standard deviation 1 in every channel; a constant channel becomes 0."""

    nonzero: bool = False
    """Measure and change only voxels that are not exactly 0, for images whose background was set to 0."""

    def apply(self, image: Volume, label: Volume | None) -> tuple[Volume, Volume | None]:
        """The image with standardised channels."""
        changed = by_channel(image.tensor.float(), lambda _, channel: standardised(channel, nonzero=self.nonzero))
        return Volume(changed, image.grid), label

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
    parts = values.reshape(-1).split(PART_VOXELS)
    # float32 loses digits over millions of voxels.
    mean = torch.stack([part.double().sum() for part in parts]).sum() / values.numel()
    squares = torch.stack([part.double().sub_(mean).square_().sum() for part in parts]).sum()
    std = (squares / values.numel()).sqrt()
    if std <= CONSTANT_SHARE * values.abs().max():
        return torch.zeros_like(channel)
    scaled = (channel - mean).div_(std)
    return torch.where(channel != 0, scaled, channel) if nonzero else scaled
