"""Normalisation layers by name."""

import math
from typing import Literal

from torch import nn

from hilum.layers.dimensional import BATCH_NORM

Norm = Literal["none", "batch", "instance", "group", "layer"]

MAX_GROUPS = 8
"""Groups of a group norm, or the largest divisor of it that divides the channels."""


def norm(name: Norm, dims: int, *, channels: int) -> nn.Module:
    """A new normalisation of (B, channels, *spatial) with a learned scale and shift for each channel.

    batch: each channel over batch and space (Ioffe and Szegedy 2015, arXiv:1502.03167). The others look at one sample
    alone: instance at each channel over space (Ulyanov et al. 2016, arXiv:1607.08022), layer at all channels over space
    together (Ba et al. 2016, arXiv:1607.06450), group at groups of them (Wu and He 2018, arXiv:1803.08494). With `dims`
    0 there is no space: batch and layer only.

    An instance norm is a group norm with one channel in each group: the same numbers, computed by torch's own kernel
    for groups, where `InstanceNorm3d` goes through the batch norm of a reshaped tensor (3 % more of a training step of
    the default U-Net in bfloat16 on a CPU).
    """
    if name == "none":
        return nn.Identity()
    if name == "batch":
        return nn.BatchNorm1d(channels) if dims == 0 else BATCH_NORM[dims](channels)
    return nn.GroupNorm(_groups(name, channels), channels)


def is_0_of_one_voxel(name: Norm, *, channels: int) -> bool:
    """Whether nothing is left of maps of a single voxel, since each channel is looked at alone and is its own mean."""
    return name in ("instance", "layer", "group") and _groups(name, channels) == channels


def _groups(name: Literal["instance", "layer", "group"], channels: int) -> int:
    return {"instance": channels, "layer": 1, "group": math.gcd(channels, MAX_GROUPS)}[name]
