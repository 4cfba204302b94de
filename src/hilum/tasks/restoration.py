"""Restoration: from an image to the image that it should be, such as one without noise."""

from hilum.problem import Problem
from hilum.tasks.base import TaskConfig


class RestorationConfig(TaskConfig, kind="restoration"):
    """The image that an image should be, such as one without noise: wanted images from the source, or `data.degrade`.

    The network answers in the channels of its input. What is written lies on the grid of the input, in its intensities.
    """

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
