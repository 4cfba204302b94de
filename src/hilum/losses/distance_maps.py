"""Distances to the border of structures, for the losses that use them; computed on the CPU, without a gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hilum.geometry.distances import distance_to

Mask = npt.NDArray[np.bool_]
Distances = npt.NDArray[np.float32]


def distance_maps(masks: Tensor, of: Callable[[Mask], Distances]) -> Tensor:
    """Distances (B, C, *spatial), in voxels, of masks (B, C, *spatial), on their device.

    0 throughout where a mask is empty or full: it has no border to be far from.
    """
    found = np.zeros(masks.shape, dtype=np.float32)
    for place, mask in _each(masks.detach().cpu().numpy() > 0):
        if mask.any() and not mask.all():
            found[place] = of(mask)
    return torch.from_numpy(found).to(masks.device)


def signed(mask: Mask) -> Distances:
    """Distance to the nearest voxel of the mask outside it; inside, less that to the nearest outside, plus 1.

    So the outermost voxels of a structure have 0, as in Kervadec's code.
    """
    spacing = (1.0,) * mask.ndim
    return distance_to(mask, spacing) - np.where(mask, distance_to(~mask, spacing) - 1, np.float32(0))


def unsigned(mask: Mask) -> Distances:
    """Distance of every voxel to the nearest one of the other side."""
    spacing = (1.0,) * mask.ndim
    return distance_to(mask, spacing) + distance_to(~mask, spacing)


def _each(masks: Mask) -> list[tuple[tuple[int, int], Mask]]:
    return [((sample, place), masks[sample, place]) for sample, place in np.ndindex(masks.shape[:2])]
