"""Restoration: from an image to the image that it should be, such as one without noise."""

from torch import nn

from hilum.layers.difference import Difference
from hilum.problem import Problem
from hilum.tasks.base import TaskConfig


class RestorationConfig(TaskConfig, kind="restoration"):
    """The image that an image should be, such as one without noise: wanted images from the source, or `data.degrade`.

    The network answers in the channels of its input. What is written lies on the grid of the input, in its intensities.
    """

    residual: bool = True
    """The network answers what has to be added to its input, and not the image itself (Zhang et al. 2017)."""

    def finished(self, network: nn.Module) -> nn.Module:
        """The network, whose answer is added to its input where it is a difference."""
        return Difference(network) if self.residual else network

    def problem(self, *, channels: tuple[str, ...], dims: int, size: tuple[int, ...] | None) -> Problem:
        """The problem for inputs of these channels, dimensions and (where it is fixed) size."""
        return Problem(
            kind="restoration",
            dims=dims,
            channels=channels,
            classes=channels,
            values=tuple(() for _ in channels),
            exclusive=False,
            size=size,
            units=("",) * len(channels),
        )
