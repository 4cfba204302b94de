"""Temperature scaling of probabilities: the log odds of a network divided by one number."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST = float(torch.finfo(torch.float32).tiny)
"""A class that a network gives less than this counts as having this: the logarithm of 0 is infinite."""
LEAST_DOUBT = 2.0**-24
"""The same for the probability of a region and for its complement: nearer to 1 there is no float32."""
SLAB_NUMBERS = 2**22
"""Probabilities that are changed at a time, so that a large volume needs no second copy."""


def evidence(probabilities: Tensor, *, exclusive: bool) -> Tensor:
    """Logits that give these probabilities again: their logarithm (exclusive classes), or their log odds (regions)."""
    return probabilities.clamp_min(LEAST).log() if exclusive else probabilities.logit(LEAST_DOUBT)


def tempered(probabilities: Tensor, temperature: float, *, exclusive: bool) -> Tensor:
    """Probabilities (N, C) whose logits were divided by `temperature`: above 1 less certain, below 1 more.

    Of exclusive classes the most likely one stays the same (Guo et al. 2017).
    """
    scaled = evidence(probabilities, exclusive=exclusive) / temperature
    return scaled.softmax(1) if exclusive else scaled.sigmoid()


def temper_volume(probabilities: Tensor, temperature: float, *, exclusive: bool) -> None:
    """The same, in place, for probabilities (C, I, J, K) of a volume."""
    depth = max(1, SLAB_NUMBERS // max(1, probabilities[:, :1].numel()))
    for slab in probabilities.split(depth, dim=1):
        slab.copy_(tempered(slab[None], temperature, exclusive=exclusive)[0])
