"""The root of all preparation steps."""

from collections.abc import Sequence
from typing import Self

from hilum.registry import Component
from hilum.volume import Volume


class PrepareConfig(Component, family="prepare"):
    """A deterministic step that every image passes, in training and in prediction alike.

    Nothing needs undoing: a result returns to the patient by resampling onto the grid of the source.
    """

    def apply(self, image: Volume, label: Volume | None) -> tuple[Volume, Volume | None]:
        """The prepared image (C, I, J, K) and its label map, both on one grid."""
        raise NotImplementedError

    @property
    def fixed_size(self) -> tuple[int, ...] | None:
        """The spatial size that every result has (without K where two numbers are given), or None where it varies."""
        return None

    def for_channels(self, channels: Sequence[int]) -> Self:
        """The step for an image with only these of the channels; another one where settings are given by channel."""
        return self
