"""Binary cross-entropy of regions that may overlap."""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from hilum.losses.base import LossConfig, PositiveWeights, by_class, full_precision, weight_faults, weighted_mean
from hilum.problem import IGNORE, Problem


class BinaryCrossEntropy(nn.Module):
    """Mean of -w t log p - (1 - t) log(1 - p) over the targets t that are not ignored; 0 where all are ignored."""

    positive_weights: Tensor

    def __init__(self, positive_weights: list[float]) -> None:
        """Take the weight w of the positive targets of each region."""
        super().__init__()
        self.register_buffer("positive_weights", torch.tensor(positive_weights, dtype=torch.float32), persistent=False)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Scalar from logits (B, R, *spatial) and targets (B, R, *spatial) of 0 and 1."""
        logits = full_precision(logits)
        weights = self.positive_weights.to(logits.dtype).view(-1, *(1,) * (logits.dim() - 2))
        seen = (targets != IGNORE).to(logits.dtype)
        losses = functional.binary_cross_entropy_with_logits(
            logits, targets.to(logits.dtype) * seen, pos_weight=weights, reduction="none"
        )
        return weighted_mean(losses, seen)


class BinaryCrossEntropyConfig(LossConfig, kind="bce"):
    """Binary cross-entropy of regions that may overlap, or of labels that may occur together."""

    balanced_field: ClassVar[str] = "pos_weight"

    pos_weight: PositiveWeights = Field(default_factory=dict)
    """Weight of the voxels inside a region by its name; above 1 for rare regions; 1 for those not named. Or balanced:
    targets outside over targets inside, counted in the training part."""

    def build(self, problem: Problem) -> nn.Module:
        """A BinaryCrossEntropy with one weight for each region of `problem`."""
        return BinaryCrossEntropy(by_class(self.pos_weight, problem))

    def faults(self, problem: Problem) -> list[str]:
        """Why the loss cannot be used for `problem`."""
        faults = super().faults(problem) + weight_faults("pos_weight", self.pos_weight, problem)
        if problem.exclusive:
            faults.append("loss 'bce' is for regions; for classes that exclude each other take 'cross_entropy'")
        return faults
