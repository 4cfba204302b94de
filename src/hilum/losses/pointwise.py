"""Errors number by number: what the mean squared, the mean absolute and the Huber loss share."""

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from hilum.losses.base import LossConfig, full_precision, weighted_mean
from hilum.losses.compared import compared
from hilum.problem import CONTINUOUS, Problem

Of = Literal["probabilities", "outputs"]
Penalty = Callable[[Tensor], Tensor]


class Pointwise(nn.Module):
    """Mean of a penalty of prediction less truth, over the targets that are not ignored; 0 where all are."""

    def __init__(
        self, penalty: Penalty, *, exclusive: bool = False, raw: bool = False, continuous: bool = False
    ) -> None:
        """Take the penalty of each difference, and what a prediction is: see PointwiseConfig."""
        super().__init__()
        self.penalty = penalty
        self.exclusive = exclusive
        self.raw = raw
        self.continuous = continuous

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Scalar from outputs (B, C, *spatial) and targets.

        Class indices (B, *spatial) and regions (B, C, *spatial) of 0 and 1 are compared class by class. Continuous
        targets are numbers in the shape of the outputs; those that are NaN are ignored.
        """
        if self.continuous:
            outputs = full_precision(logits)
            seen = ~targets.isnan()
            difference = torch.where(seen, outputs - targets.to(outputs.dtype), 0.0)
        else:
            pair = compared(logits, targets, exclusive=self.exclusive, raw=self.raw)
            seen, difference = pair.seen, pair.predicted - pair.truth
        return weighted_mean(self.penalty(difference), seen.to(difference.dtype).expand_as(difference))


class PointwiseConfig(LossConfig):
    """A loss of the difference between prediction and truth."""

    tasks: ClassVar[frozenset[str]] = LossConfig.tasks | CONTINUOUS

    of: Of = "probabilities"
    """What is compared with 1 for the true class (or inside a region) and 0 for the others: the probabilities, which
    makes the squared error a Brier score, or the outputs as they are, as in linear regression and the perceptron.
    Continuous targets are always compared with the outputs."""

    def pointwise(self, penalty: Penalty, problem: Problem) -> nn.Module:
        """The mean of a penalty, for `problem`."""
        raw, continuous = self.of == "outputs", problem.continuous
        return Pointwise(penalty, exclusive=problem.exclusive, raw=raw, continuous=continuous)
