"""The windows of torch's convolutions and poolings: what they leave out, and where nothing would come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hilum.layers.window import Window

MAX_POOLINGS = ("max_pool2d_with_indices", "max_pool3d_with_indices")
AVERAGE_POOLINGS = ("avg_pool2d", "avg_pool3d")
SLIDING = ("convolution", *MAX_POOLINGS, *AVERAGE_POOLINGS)
"""Operators of torch, by the names that they have below its functions."""


@dataclass(frozen=True)
class Slide:
    """A window that slides along one axis of the image, of `length` voxels and `padding` more on either side."""

    axis: int
    length: int
    window: Window
    padding: int

    @property
    def result(self) -> int:
        """Voxels that come out; less than 1 where the window does not fit in."""
        return self.window.length(self.length)

    def unseen(self, margin: int) -> int:
        """Voxels of the image at the end that no window reaches; the last `margin` ones are padding already.

        None count where the stride steps over as many between any two windows.
        """
        lost = self.window.unseen(self.length) - self.padding - margin
        return lost if lost > max(0, self.window.stride - self.window.reach) else 0


def slides(name: str, arguments: Sequence[Any]) -> list[Slide]:
    """The windows of an operator with all its arguments, one an axis; none where nothing slides over the image."""
    if name not in SLIDING or (name == "convolution" and arguments[6]):
        return []
    found = []
    for axis, length in enumerate(arguments[0].shape[2:]):
        kernel, stride, padding, dilation, ceil = _settings(name, arguments, axis)
        found.append(Slide(axis, length, Window(kernel, stride, padding, dilation, ceil), padding))
    return found


def one(given: Any, axis: int) -> int:
    """A setting of an axis, of which there may be one for all."""
    values = [given] if isinstance(given, int) else list(given)
    return int(values[axis] if len(values) > 1 else values[0])


def _settings(name: str, arguments: Sequence[Any], axis: int) -> tuple[int, int, int, int, bool]:
    """Kernel, stride, padding, dilation, and whether lengths are rounded up."""
    if name == "convolution":
        stride, padding, dilation = (one(given, axis) for given in arguments[3:6])
        return arguments[1].shape[axis + 2], stride, padding, dilation, False
    kernel, padding = one(arguments[1], axis), one(arguments[3], axis)
    stride = one(arguments[2] or kernel, axis)
    if name in AVERAGE_POOLINGS:
        return kernel, stride, padding, 1, bool(arguments[4])
    return kernel, stride, padding, one(arguments[4], axis), bool(arguments[5])
