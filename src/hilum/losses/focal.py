"""The focal loss: cross-entropy that turns away from what is already easy."""

from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor, nn
from torch.nn import functional

from hilum.losses.base import LossConfig, full_precision, weighted_mean
from hilum.problem import IGNORE, Problem


class Focal(nn.Module):
    """Mean of -a (1 - p)^gamma log p over the targets that are not ignored, p the probability given to the truth.

    Lin et al. 2017 (doi:10.1109/ICCV.2017.324), with softmax where classes are exclusive and sigmoid where they are
    not. The balance a is `alpha` for foreground (or inside a region), 1 - `alpha` for class 0 (or outside), and 1 where
    `alpha` is None.
    """

    def __init__(self, *, exclusive: bool, gamma: float = 2.0, alpha: float | None = None) -> None:
        """Take the exponent and the balance."""
        super().__init__()
        self.exclusive = exclusive
        self.gamma = gamma
        self.alpha = alpha

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Scalar from logits (B, C, *spatial) and targets, class indices (B, *spatial) or regions (B, C, *spatial)."""
        logits = full_precision(logits)
        seen = (targets != IGNORE).to(logits.dtype)
        if self.exclusive:
            log_p = logits.log_softmax(1).gather(1, targets.clamp(min=0).unsqueeze(1)).squeeze(1)
        else:
            log_p = functional.logsigmoid(torch.where(targets == 1, logits, -logits))
        # The complement 1 - p, without the rounding to 0 that would make the gradient of its power infinite.
        complement = (-torch.expm1(log_p)).clamp(min=torch.finfo(logits.dtype).tiny)
        losses = -(complement**self.gamma) * log_p
        if self.alpha is not None:
            losses = losses * torch.where(targets > 0, self.alpha, 1 - self.alpha)
        return weighted_mean(losses, seen)


class FocalConfig(LossConfig, kind="focal"):
    """Cross-entropy that turns away from easy voxels, for rare structures among much background."""

    gamma: NonNegativeFloat = 2.0
    """How strongly easy voxels are turned away from; 0 is cross-entropy."""
    alpha: Annotated[float, Field(ge=0, le=1)] | None = None
    """Weight of foreground, against 1 - alpha for background; null weighs both with 1."""

    def build(self, problem: Problem) -> nn.Module:
        """A Focal for the classes or regions of `problem`."""
        return Focal(exclusive=problem.exclusive, gamma=self.gamma, alpha=self.alpha)

    def faults(self, problem: Problem) -> list[str]:
        """Why the loss cannot be used for `problem`."""
        faults = super().faults(problem)
        many_classes = problem.kind == "classification" and problem.exclusive and problem.num_outputs > 2
        if self.alpha is not None and many_classes:
            faults.append(
                f"alpha: balances one class against another, the task has {problem.num_outputs};"
                " set it to null, or take 'cross_entropy' with class_weights"
            )
        return faults
