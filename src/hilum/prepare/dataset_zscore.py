"""Scales every channel by what is usual in the training part, for intensities that mean the same in every scan."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, field_validator
from torch import Tensor

from hilum.errors import DataError
from hilum.prepare.base import PrepareConfig, by_channel
from hilum.prepare.percentiles import Percentage, above_low
from hilum.prepare.zscore import CONSTANT_SHARE
from hilum.problem import IGNORE
from hilum.settings import Settings
from hilum.volume import Grid, Volume

PART_VOXELS = 2**22
"""Voxels that are turned into float64 at a time."""


class ChannelRange(Settings):
    """What one channel is in the training part."""

    low: float
    """Darker voxels get this value."""
    high: float
    """Brighter voxels get this value."""
    mean: float
    """Subtracted."""
    std: Annotated[float, Field(ge=0)]
    """Divided by; a channel that is constant becomes 0."""


@dataclass(frozen=True)
class ChannelMeasure:
    """Voxels of one channel of one case: how many, their mean, the sum of squares around it, and a sample of them."""

    count: int
    mean: float
    squares: float
    sample: npt.NDArray[np.float32]


class DatasetZscoreConfig(PrepareConfig, kind="dataset_zscore"):
    """Clipped, then mean 0 and standard deviation 1 over all training cases together: for CT, and quantitative maps.

    Range, mean and standard deviation are those of the voxels inside the structures of the training part, or of all
    its voxels in a classification (the CT scheme of Isensee et al. 2021, doi:10.1038/s41592-020-01008-z).
    """

    low: Percentage = 0.5
    """Percentile of the training voxels below which values are clipped."""
    high: Percentage = 99.5
    """Percentile of the training voxels above which values are clipped."""
    inside: bool = True
    """Measure within the structures of the masks, where there are masks; else everywhere."""
    fitted: tuple[ChannelRange, ...] | None = None
    """By channel, what was found in the training part; leave it out to have it found."""

    _above_low = field_validator("high")(above_low)

    def apply(self, image: Volume, label: Volume | None) -> tuple[Volume, Volume | None]:
        """The image with channels scaled alike in all cases. Raises DataError for other channels than were fitted."""
        if self.fitted is None:
            raise DataError("preparation 'dataset_zscore' has yet to be fitted to a training part")
        if len(self.fitted) != len(image.tensor):
            raise DataError(
                f"preparation 'dataset_zscore' was fitted to {len(self.fitted)} channels, "
                f"received {len(image.tensor)}: remove 'fitted' to have it found anew"
            )
        fitted = self.fitted
        changed = by_channel(image.tensor.float(), lambda number, channel: _scaled(channel, fitted[number]))
        return Volume(changed, image.grid), label

    def for_channels(self, channels: Sequence[int]) -> Self:
        """The step with what was found for these channels only."""
        if self.fitted is None:
            return self
        return self.model_copy(update={"fitted": tuple(self.fitted[channel] for channel in channels)})

    @property
    def undoes(self) -> bool:
        """Always, but for what was clipped."""
        return True

    def intensities(self, image: Volume) -> tuple[Tensor, Tensor]:
        """Standard deviation and mean of each channel in the training part."""
        found = self.fitted or ()
        stds = torch.tensor([one.std if one.std > 0 else 1.0 for one in found])
        return stds, torch.tensor([one.mean for one in found])

    def grid_after(self, grid: Grid) -> Grid:
        """The same grid."""
        return grid

    @property
    def needs_fit(self) -> bool:
        """Whether the training part has yet to be measured."""
        return self.fitted is None

    def measure(
        self, image: Volume, label: Volume | None, *, channels: Sequence[int], most: int, rng: np.random.Generator
    ) -> dict[int, ChannelMeasure]:
        """By channel, the moments of its voxels (of those inside the structures of the label) and a sample of them."""
        voxels = image.tensor.float().flatten(1).numpy()
        if label is not None and self.inside:
            voxels = voxels[:, inside_structures(label.tensor).flatten().numpy()]
        count = voxels.shape[1]
        if count == 0:
            return {}
        places = np.sort(rng.choice(count, most, replace=False)) if count > most else np.arange(count)
        return {
            number: ChannelMeasure(count, *_moments(values), values[places])
            for number, values in zip(channels, voxels, strict=True)
        }

    def fitted_to(self, measured: Sequence[dict[int, ChannelMeasure]], *, num_channels: int) -> Self:
        """The step with ranges, means and standard deviations of the voxels measured.

        Raises DataError where a channel has none.
        """
        known = {number for case in measured for number in case}
        if not known:
            raise DataError(
                "preparation 'dataset_zscore' found no voxel inside a structure in the training part: "
                "set 'inside' to false to measure everywhere"
            )
        absent = sorted(set(range(num_channels)) - known)
        if absent:
            raise DataError(f"preparation 'dataset_zscore' found no training case that has channel {absent[0]}")
        ranges = [self._range([case[number] for case in measured if number in case]) for number in sorted(known)]
        return self.model_copy(update={"fitted": tuple(ranges)})

    def _range(self, cases: Sequence[ChannelMeasure]) -> ChannelRange:
        counts = np.array([case.count for case in cases], dtype=np.float64)
        means = np.array([case.mean for case in cases])
        mean = float((counts * means).sum() / counts.sum())
        # The squares around the mean of all: those around the mean of each case, and of these means around it.
        squares = sum(case.squares for case in cases) + float((counts * (means - mean) ** 2).sum())
        weights = np.concatenate([np.full(len(case.sample), case.count / len(case.sample)) for case in cases])
        low, high = weighted_percentiles(
            np.concatenate([case.sample for case in cases]), weights, (self.low, self.high)
        )
        low, high, mean, std = map(_rounded, (low, high, mean, float(np.sqrt(squares / counts.sum()))))
        return ChannelRange(low=low, high=high, mean=mean, std=std)


def inside_structures(target: Tensor) -> Tensor:
    """Which voxels (I, J, K) of an encoded target (1 or R, I, J, K) belong to a structure; ignored ones do not."""
    return (target > 0).any(0) & (target != IGNORE).all(0)


def weighted_percentiles(
    values: npt.NDArray[np.float32], weights: npt.NDArray[np.float64], percentages: Sequence[float]
) -> list[float]:
    """The smallest values below or at which lie these percentages of the weights (numpy's method inverted_cdf)."""
    order = values.argsort(kind="stable")
    below = weights[order].cumsum()
    places = np.searchsorted(below, np.array(percentages) / 100 * below[-1] * (1 - 1e-12))  # rounding of the sums
    return [float(values[order[place]]) for place in places]


def _moments(values: npt.NDArray[np.float32]) -> tuple[float, float]:
    mean = float(values.mean(dtype=np.float64))
    parts = np.array_split(values, values.size // PART_VOXELS + 1)  # float64 of a whole volume would be twice its size
    return mean, sum(float(np.square(part.astype(np.float64) - mean).sum()) for part in parts)


def _scaled(channel: Tensor, found: ChannelRange) -> Tensor:
    if found.std <= CONSTANT_SHARE * max(abs(found.low), abs(found.high)):
        return torch.zeros_like(channel)
    return channel.clamp(found.low, found.high).sub_(found.mean).div_(found.std)


def _rounded(value: float) -> float:
    """Six significant digits: more would be noise, and a configuration is read by people."""
    return float(f"{value:.6g}")
