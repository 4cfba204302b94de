"""Probabilities beside the truth, class by class: what losses of overlap, distance and error begin with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hilum.losses.base import full_precision, summed
from hilum.problem import IGNORE


@dataclass(frozen=True)
class Compared:
    """Predictions and truth (B, C, *spatial), 0 where the target is ignored, and a mask of where it is not."""

    predicted: Tensor
    truth: Tensor
    seen: Tensor

    def sums(self, *values: Tensor, batch: bool) -> list[Tensor]:
        """Sums over space of values (B, C, *spatial): (B, C), or (C,) over the batch of all ranks."""
        axes = (0, *range(2, self.truth.dim())) if batch else tuple(range(2, self.truth.dim()))
        totals = [value.sum(axes) for value in values]
        return [summed(total) for total in totals] if batch else totals


def compared(
    logits: Tensor, targets: Tensor, *, exclusive: bool, background: bool = True, raw: bool = False
) -> Compared:
    """Class by class, from logits (B, C, *spatial) and targets, class indices (B, *spatial) or regions as the logits.

    Predictions are probabilities in float32 at least, softmax where classes are exclusive, else sigmoid; or the logits
    themselves with `raw`. Without `background`, class 0 of exclusive ones is left out.
    """
    logits = full_precision(logits)
    predicted = logits if raw else (logits.softmax(1) if exclusive else logits.sigmoid())
    if exclusive:
        classes = torch.arange(logits.shape[1], device=targets.device).view(1, -1, *(1,) * (targets.dim() - 1))
        seen = (targets != IGNORE).unsqueeze(1)
        truth = targets.unsqueeze(1) == classes
        if not background:
            predicted, truth = predicted[:, 1:], truth[:, 1:]
    else:
        seen = targets != IGNORE
        truth = targets == 1
    return Compared(predicted * seen, truth.to(predicted.dtype), seen)
