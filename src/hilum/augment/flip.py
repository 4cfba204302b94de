"""Mirrors samples along named axes."""

from typing import Annotated

import numpy as np
from pydantic import Field
from torch import Tensor

from hilum.augment.base import Draws, FlipAugment, Frame, Share
from hilum.errors import nearest


class FlipConfig(FlipAugment, kind="flip"):
    """Mirror images along named axes; several flip steps act independently of each other.

    Which axes may be mirrored belongs to the data: a left side becomes a right side. So there is no default.
    """

    axes: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of axes: left_right, posterior_anterior, inferior_superior for canonical volumes, vertical, horizontal
    for pictures, i, j, k for others. Of several, a changed sample is mirrored along one or more, drawn evenly."""
    probability: Share = 0.5
    """Share of the samples that are mirrored."""

    def faults(self, frame: Frame) -> list[str]:
        """The axes that such samples do not have."""
        unknown = [axis for axis in self.axes if axis not in frame.axes]
        return [f"axes: {_unknown(axis, frame)}" for axis in unknown]

    def draw(self, rng: np.random.Generator, frame: Frame) -> Draws:
        """Which of the frame's axes are mirrored."""
        chosen = int(rng.integers(1, 2 ** len(self.axes)))
        mirrored = {axis for position, axis in enumerate(self.axes) if chosen >> position & 1}
        return {"mirrored": np.array([axis in mirrored for axis in frame.axes])}

    def apply(self, images: Tensor, targets: Tensor, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Images and targets, mirrored alike."""
        spatial = targets.ndim > 2  # a map, not numbers of the whole image
        dims = images.ndim - 2
        for axis, rows in enumerate(draws["mirrored"].T):
            if rows.any():
                images = _mirrored(images, rows, axis - dims)
                targets = _mirrored(targets, rows, axis - dims) if spatial else targets
        return images, targets


def _mirrored(values: Tensor, rows: Tensor, axis: int) -> Tensor:
    return values.where(~rows.view(-1, *[1] * (values.ndim - 1)), values.flip(axis))


def _unknown(axis: str, frame: Frame) -> str:
    close = nearest(axis, frame.axes)
    hint = f"; did you mean '{close}'?" if close else ""
    return f"received '{axis}', expected some of {', '.join(frame.axes)}{hint}"
