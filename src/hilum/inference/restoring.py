"""A restored image on the grid of its input and in its intensities, from a network that answers in prepared ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hilum.prepare.scaled import Intensities, prepared_with_intensities
from hilum.volume import Grid, Volume, resample

if TYPE_CHECKING:
    from hilum.inference.predictor import Predictor

Degrade = Callable[[Volume], Volume]
"""Makes the network's input from a prepared image."""


def restored(predictor: Predictor, image: Volume) -> Volume:
    """The image (C, I, J, K) that the network makes of `image`, float32, on the CPU.

    Where the preparation crops, the image is as it was.
    """
    prepared, own = prepared_with_intensities(image, predictor.prepare)
    return _back(predictor.probabilities(prepared).tensor.cpu(), prepared.grid, own=own, image=image)


def degraded_and_restored(predictor: Predictor, image: Volume, degrade: Degrade) -> tuple[Volume, Volume]:
    """The degraded image and what the network makes of it, both like `restored`."""
    prepared, own = prepared_with_intensities(image, predictor.prepare)
    seen = degrade(prepared)
    answer = predictor.probabilities(seen).tensor.cpu()
    seen_back, answer_back = (_back(one, prepared.grid, own=own, image=image) for one in (seen.tensor, answer))
    return seen_back, answer_back


def _back(prepared: Tensor, grid: Grid, *, own: Intensities, image: Volume) -> Volume:
    """Prepared values on the grid and in the intensities of the image that they were made from."""
    values = own.restored(prepared.float())
    if grid == image.grid:
        return Volume(values, grid)
    found = resample(Volume(values, grid), image.grid, "linear", outside=float("nan")).tensor
    return Volume(torch.where(found.isnan(), image.tensor.float(), found), image.grid)
