"""The generalised Dice loss: one overlap of all classes, in which rare ones weigh more."""

from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from hilum.losses.base import LossConfig
from hilum.losses.compared import compared
from hilum.problem import Problem

Weighing = Literal["square", "simple", "uniform"]


class GeneralisedDice(nn.Module):
    """1 - (2 sum_c w_c sum(p t) + s) / (sum_c w_c sum(p + t) + s), after Sudre et al. 2017.

    doi:10.1007/978-3-319-67558-9_28. The weight w_c of a class is one over its volume, or over the square of it; one
    that is not there has the weight of the rarest one that is, and all have 1 where none is there. Sums run over a
    sample, or over the batch.
    """

    def __init__(
        self,
        *,
        exclusive: bool,
        background: bool = True,
        batch: bool = False,
        weighing: Weighing = "square",
        smooth: float = 1e-5,
    ) -> None:
        """Take what the classes are, and how they are weighed."""
        super().__init__()
        self.exclusive = exclusive
        self.background = background
        self.batch = batch
        self.power = {"square": 2.0, "simple": 1.0, "uniform": 0.0}[weighing]
        self.smooth = smooth

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Scalar from logits (B, C, *spatial) and targets, class indices (B, *spatial) or regions (B, C, *spatial)."""
        pair = compared(logits, targets, exclusive=self.exclusive, background=self.background)
        overlap, predicted, truth = pair.sums(pair.predicted * pair.truth, pair.predicted, pair.truth, batch=self.batch)
        weights = truth.clamp(min=1).pow(-self.power)
        rarest = torch.where(truth > 0, weights, 0).amax(-1, keepdim=True)
        weights = torch.where(truth > 0, weights, torch.where(rarest > 0, rarest, 1.0))
        overlap, volumes = (weights * overlap).sum(-1), (weights * (predicted + truth)).sum(-1)
        return (1 - (2 * overlap + self.smooth) / (volumes + self.smooth)).mean()


class GeneralisedDiceConfig(LossConfig, kind="generalised_dice"):
    """Generalised Dice (Sudre et al. 2017): one overlap of all classes, weighed by how rare they are."""

    tasks: ClassVar[frozenset[str]] = frozenset({"segmentation"})

    weighing: Weighing = "square"
    """Weight of a class: one over the square of its volume, one over its volume (simple), or 1 (uniform)."""
    background: bool = True
    """Whether the background of exclusive classes counts as a class."""
    batch: bool = False
    """Whether volumes are summed over the batch (of all processes) before the ratio is taken."""
    smooth: PositiveFloat = 1e-5
    """Added to numerator and denominator, so that an absent class gives 0 rather than 0 / 0."""

    def build(self, problem: Problem) -> nn.Module:
        """A GeneralisedDice for the classes or regions of `problem`."""
        return GeneralisedDice(
            exclusive=problem.exclusive,
            background=self.background,
            batch=self.batch,
            weighing=self.weighing,
            smooth=self.smooth,
        )
