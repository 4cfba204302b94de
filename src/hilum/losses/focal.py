"""The focal loss: cross-entropy that turns away from what is already easy."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor, nn
from torch.nn import functional

from hilum.losses.base import ClassWeights, LossConfig, by_class, full_precision, weight_faults, weighted_mean
from hilum.problem import IGNORE, Problem


class Focal(nn.Module):
    """Mean of -a (1 - p)^gamma log p over the targets that are not ignored, p the probability given to the truth.

    Lin et al. 2017 (doi:10.1109/ICCV.2017.324), with softmax where classes are exclusive and sigmoid where they are
    not. The balance a is `alpha` for foreground (or inside a region), 1 - `alpha` for class 0 (or outside), and 1 where
    `alpha` is None. With `weights` by class the mean is weighted by those of the true classes, as in a cross-entropy;
    for regions they are factors of the targets inside, as in a binary one.
    """

    weights: Tensor | None

    def __init__(
        self, *, exclusive: bool, gamma: float = 2.0, alpha: float | None = None, weights: list[float] | None = None
    ) -> None:
        """Take the exponent, and the balance or a weight for each class."""
        super().__init__()
        self.exclusive = exclusive
        self.gamma = gamma
        self.alpha = alpha
        buffer = None if weights is None else torch.tensor(weights, dtype=torch.float32)
        self.register_buffer("weights", buffer, persistent=False)

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
        if self.weights is None:
            return weighted_mean(losses, seen)
        weights = self.weights.to(logits.dtype)
        if self.exclusive:
            return weighted_mean(losses, seen * weights[targets.clamp(min=0)])
        inside = weights.view(-1, *(1,) * (logits.dim() - 2))
        return weighted_mean(losses * torch.where(targets == 1, inside, torch.ones_like(inside)), seen)


class FocalConfig(LossConfig, kind="focal"):
    """Cross-entropy that turns away from easy voxels, for rare structures among much background."""

    balanced_field: ClassVar[str] = "class_weights"

    gamma: NonNegativeFloat = 2.0
    """How strongly easy voxels are turned away from; 0 is cross-entropy."""
    alpha: Annotated[float, Field(ge=0, le=1)] | None = None
    """Weight of foreground, against 1 - alpha for background; null weighs both with 1."""
    class_weights: ClassWeights = Field(default_factory=dict)
    """Weight of a class by its name (of the voxels inside a region); 1 for those not named. Or balanced: n / (k n_c)
    for class c of k, which has n_c of the n cases (voxels of a segmentation) of the training part; for a region those
    outside over those inside."""

    def build(self, problem: Problem) -> nn.Module:
        """A Focal for the classes or regions of `problem`."""
        weights = by_class(self.class_weights, problem) if self.class_weights else None
        return Focal(exclusive=problem.exclusive, gamma=self.gamma, alpha=self.alpha, weights=weights)

    def faults(self, problem: Problem) -> list[str]:
        """Why the loss cannot be used for `problem`."""
        faults = super().faults(problem) + weight_faults("class_weights", self.class_weights, problem)
        if self.alpha is not None and self.class_weights:
            faults.append("alpha and class_weights: received both, expected one of them")
        many_classes = problem.kind == "classification" and problem.exclusive and problem.num_outputs > 2
        if self.alpha is not None and many_classes:
            faults.append(
                f"alpha: balances one class against another, the task has {problem.num_outputs};"
                " set it to null, or take 'cross_entropy' with class_weights"
            )
        return faults
