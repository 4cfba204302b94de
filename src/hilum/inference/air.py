"""Which windows show nothing but air: a test fitted on training cases, so that none of their structures is missed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy.typing as npt

    Image = npt.NDArray[np.float32]
    Mask = npt.NDArray[np.bool_]

DARKEST_PERCENT = 1.0
"""The percentile of a prepared image that stands for its air."""


@dataclass(frozen=True)
class Air:
    """A window is air where no voxel of it is as bright as the threshold of its channel, in all channels.

    A channel without a threshold (None) tells nothing, nor does one that the case lacks (NaN).
    """

    thresholds: tuple[float | None, ...]

    def __call__(self, shown: Tensor) -> bool:
        """Whether what a window (C, i, j, k) shows of a prepared image is air."""
        brightest = shown.flatten(1).amax(1).tolist()
        told = [
            bright < limit
            for bright, limit in zip(brightest, self.thresholds, strict=True)
            if limit is not None and not math.isnan(bright)
        ]
        return bool(told) and all(told)


@dataclass(frozen=True)
class AirMeasure:
    """Of one training case and by channel: how bright air is, and how bright at least a window with a structure is.

    NaN for a channel that the case lacks; `least` is infinite for a case without a structure.
    """

    dark: tuple[float, ...]
    least: tuple[float, ...]


def air_measure(image: Image, inside: Mask, window: Sequence[int]) -> AirMeasure:
    """What a prepared image (C, I, J, K) with structures `inside` (I, J, K) tells, for windows of a size anywhere."""
    dark, least = [], []
    for channel in image:
        missing = bool(np.isnan(channel.flat[0]) and np.isnan(channel).all())
        dark.append(np.nan if missing else float(np.percentile(channel, DARKEST_PERCENT)))
        if missing or not inside.any():
            least.append(np.nan if missing else np.inf)
        else:
            least.append(float(darkest_window(channel, window)[inside].min()))
    return AirMeasure(tuple(dark), tuple(least))


def fitted_air(measures: Sequence[AirMeasure]) -> tuple[float | None, ...]:
    """The threshold of each channel: halfway from air to the darkest window with a structure, over all training cases.

    None for a channel in which windows with a structure may be as dark as air.
    """
    dark = np.array([measure.dark for measure in measures])
    least = np.array([measure.least for measure in measures])
    thresholds: list[float | None] = []
    for air, windows in zip(dark.T, least.T, strict=True):
        seen = windows[np.isfinite(windows)]
        low = float(np.nanmedian(air)) if np.isfinite(air).any() else np.inf
        thresholds.append(float(low + seen.min()) / 2 if len(seen) and seen.min() > low else None)
    return tuple(thresholds)


def darkest_window(channel: Image, window: Sequence[int]) -> Image:
    """For each voxel (I, J, K) the smallest maximum of all windows that hold it, wherever they lie within the image.

    Along an axis that is shorter than the window there is one window, which shows all of it. Maximum and minimum over
    boxes go axis by axis (a morphological closing; Van Herk 1992, doi:10.1016/0167-8655(92)90069-C).
    """
    from scipy import ndimage

    sides = [min(side, size) for side, size in zip(window, channel.shape, strict=True)]
    values = channel
    for axis, side in enumerate(sides):
        highest = ndimage.maximum_filter1d(values, side, axis=axis, mode="nearest")
        values = _middle(highest, axis, side // 2, channel.shape[axis] - side + 1)  # one value a start of a window
    for axis, side in enumerate(sides):
        wide = [(side - 1, side - 1) if other == axis else (0, 0) for other in range(3)]
        lowest = ndimage.minimum_filter1d(np.pad(values, wide, constant_values=np.inf), side, axis=axis, mode="nearest")
        values = _middle(lowest, axis, side // 2, channel.shape[axis])
    return np.asarray(values)


def background(num_outputs: int, *, exclusive: bool) -> Tensor:
    """The probabilities (num_outputs,) of air: certainly the first of exclusive classes, and in no region."""
    certain = torch.zeros(num_outputs)
    certain[0] = float(exclusive)
    return certain


def _middle(values: Image, axis: int, first: int, count: int) -> Image:
    chosen = [slice(None)] * values.ndim
    chosen[axis] = slice(first, first + count)
    return values[tuple(chosen)]
