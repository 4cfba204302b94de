"""What is put around an image before a kernel slides over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Filling = Literal["zero", "constant", "replicate", "reflect", "symmetric"]
Padding = Literal["valid", "same", "zero", "constant", "replicate", "reflect", "symmetric"]
"""valid: nothing. same: as few zeros as give ceil(n / stride) voxels, one more at the end where the number is odd. The
others put (f - 1) / 2 voxels, rounded down, on either side for a kernel of f: zeros, a constant, the border voxel, or
the image mirrored, without repeating the border voxel (reflect: 3 2 | 1 2 3) or with it (symmetric: 2 1 | 1 2 3)."""

FILLINGS: dict[Padding, Filling] = {
    "valid": "zero",
    "same": "zero",
    "zero": "zero",
    "constant": "constant",
    "replicate": "replicate",
    "reflect": "reflect",
    "symmetric": "symmetric",
}
"""What each of them puts around an image."""


def padded(features: Tensor, widths: Sequence[tuple[int, int]], filling: Filling, *, value: float = 0.0) -> Tensor:
    """Features (B, C, *spatial) with so many voxels before and after each spatial axis.

    Mirrors go back and forth where more is asked for than there is, as numpy's do; torch's own cannot.
    """
    if not any(map(any, widths)):
        return features
    if filling in ("reflect", "symmetric"):
        for axis, (before, after) in enumerate(widths, start=2):
            places = mirrored(features.shape[axis], before, after, repeat_border=filling == "symmetric")
            features = features.index_select(axis, places.to(features.device))
        return features
    flat = [width for pair in reversed(widths) for width in pair]
    if filling == "replicate":
        return functional.pad(features, flat, mode="replicate")
    return functional.pad(features, flat, value=value if filling == "constant" else 0.0)


def mirrored(length: int, before: int, after: int, *, repeat_border: bool) -> Tensor:
    """Which voxel (before + length + after) of an axis is seen at each place of its mirrored continuation."""
    period = max(1, 2 * length if repeat_border else 2 * (length - 1))
    places = torch.arange(-before, length + after).remainder(period)
    return torch.where(places < length, places, period - places - int(repeat_border))
