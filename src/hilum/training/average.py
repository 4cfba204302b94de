"""The exponential moving average of the weights, which often scores better than the weights themselves."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class WeightAverage:
    """A copy of a model whose weights follow the model's slowly (Polyak and Juditsky 1992).

    The decay rises as (1 + step) / (10 + step) up to its value, so that the random start is forgotten soon.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval()
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move the average towards the model's weights after step number `step` (from 1); buffers are copied."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averaged: list[Tensor] = [parameter.data for parameter in self.model.parameters()]
        current: list[Tensor] = [parameter.data for parameter in model.parameters()]
        torch._foreach_lerp_(averaged, current, 1 - decay)
        for mine, theirs in zip(self.model.buffers(), model.buffers(), strict=True):
            mine.copy_(theirs)
