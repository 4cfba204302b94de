"""The root of all preparation steps."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor

from hilum.registry import Component
from hilum.volume import Grid, Volume


class PrepareConfig(Component, family="prepare"):
    """A deterministic step that every image passes, in training and in prediction alike.

    Nothing needs undoing: a result returns to the patient by resampling onto the grid of the source. A step with
    settings that are to be found in the training part says so by `needs_fit`; `measure` and `fitted_to` find them.
    """

    fits_on: ClassVar[Literal["grids", "voxels"]] = "voxels"
    """What a step that needs it is fitted on: what `measure` finds in each case, or just the grids of the images."""
    moves_only: ClassVar[bool] = False
    """Whether the step changes where voxels lie and not what they mean."""

    def apply(self, image: Volume, label: Volume | None) -> tuple[Volume, Volume | None]:
        """The prepared image (C, I, J, K) and its label map, both on one grid."""
        raise NotImplementedError

    @property
    def undoes(self) -> bool:
        """Whether `intensities` tells how values before the step follow from those after it."""
        return self.moves_only

    def intensities(self, image: Volume) -> tuple[Tensor, Tensor]:
        """Factor and offset (C,) of the step on this image: values before it are values after it * factor + offset.

        To be asked only where `undoes` says so.
        """
        return torch.ones(len(image.tensor)), torch.zeros(len(image.tensor))

    @property
    def fixed_size(self) -> tuple[int, ...] | None:
        """The spatial size that every result has (without K where two numbers are given), or None where it varies."""
        return None

    def size_after(self, size: tuple[int, ...] | None) -> tuple[int, ...] | None:
        """The spatial size of every result where all images are of `size` before; None where it varies."""
        return self.fixed_size or size

    def for_channels(self, channels: Sequence[int]) -> Self:
        """The step for an image with only these of the channels; another one where settings are given by channel."""
        return self

    def grid_after(self, grid: Grid) -> Grid | None:
        """The grid of the result for an image on `grid`; None where that takes more than the grid to know."""
        return None

    @property
    def needs_fit(self) -> bool:
        """Whether settings have yet to be found in the training part; such a step cannot be applied."""
        return False

    def measure(
        self, image: Volume, label: Volume | None, *, channels: Sequence[int], most: int, rng: np.random.Generator
    ) -> Any:
        """What `fitted_to` needs of one training case, after all earlier steps.

        `channels` are the numbers of those that the image has, `most` is how many voxels of each may be kept.
        """
        raise NotImplementedError

    def fitted_to(self, measured: Sequence[Any], *, num_channels: int) -> Self:
        """The step with its settings found: from what was measured, or from the grids, in the order of the case ids.

        `num_channels` is how many there have to be at least. Raises DataError where nothing can be found.
        """
        raise NotImplementedError


def by_channel(channels: Tensor, work: Callable[[int, Tensor], Tensor]) -> Tensor:
    """What `work` makes of each channel (I, J, K), given its number, in one tensor without another copy."""
    if len(channels) == 1:
        return work(0, channels[0])[None]
    changed = channels.new_empty(channels.shape)
    for number, channel in enumerate(channels):
        changed[number] = work(number, channel)
    return changed
