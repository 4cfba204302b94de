"""The Tversky loss: Dice that weighs what is invented otherwise than what is missed."""

from typing import ClassVar

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from hilum.losses.base import LossConfig
from hilum.losses.compared import compared
from hilum.problem import Problem


class Tversky(nn.Module):
    """(1 - (TP + s) / (TP + a FP + b FN + s)) to an exponent, averaged over classes and samples.

    Salehi et al. 2017 (doi:10.1007/978-3-319-67389-9_44), where the exponent is 1; TP, FP and FN are the soft volumes
    found, invented and missed, over the voxels of a sample or of the batch that are not ignored. With a = b = 1/2 it is
    Dice, with a = b = 1 the Jaccard index.
    """

    def __init__(
        self,
        *,
        exclusive: bool,
        weights: tuple[float, float] = (0.3, 0.7),
        exponent: float = 1.0,
        background: bool = False,
        batch: bool = False,
        smooth: float = 1e-5,
    ) -> None:
        """Take the weights a of what is invented and b of what is missed."""
        super().__init__()
        self.exclusive = exclusive
        self.invented, self.missed = weights
        self.exponent = exponent
        self.background = background
        self.batch = batch
        self.smooth = smooth

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Scalar from logits (B, C, *spatial) and targets, class indices (B, *spatial) or regions (B, C, *spatial)."""
        pair = compared(logits, targets, exclusive=self.exclusive, background=self.background)
        probabilities, truth = pair.predicted, pair.truth
        found, invented, missed = pair.sums(
            probabilities * truth, probabilities * (1 - truth), (1 - probabilities) * truth, batch=self.batch
        )
        volumes = found + self.invented * invented + self.missed * missed
        losses = (self.invented * invented + self.missed * missed) / (volumes + self.smooth)
        if self.exponent == 1:
            return losses.mean()
        # A power below 1 has no gradient at 0, where nothing is left to learn.
        least = torch.finfo(losses.dtype).eps
        return torch.where(losses > least, losses.clamp(min=least) ** self.exponent, losses).mean()


class TverskyConfig(LossConfig, kind="tversky"):
    """Tversky loss (Salehi et al. 2017): what is missed can cost more than what is invented."""

    tasks: ClassVar[frozenset[str]] = frozenset({"segmentation"})

    alpha: NonNegativeFloat = 0.3
    """Weight of what is invented (false positives)."""
    beta: NonNegativeFloat = 0.7
    """Weight of what is missed (false negatives); above alpha, small structures are found more often."""
    background: bool = False
    """Whether the background of exclusive classes counts as a class."""
    batch: bool = False
    """Whether volumes are summed over the batch (of all processes) before the ratio is taken."""
    smooth: PositiveFloat = 1e-5
    """Voxels added to numerator and denominator, so that an absent class gives 0 rather than 0 / 0."""

    @property
    def exponent(self) -> float:
        """What the loss of each class is raised to."""
        return 1.0

    def build(self, problem: Problem) -> nn.Module:
        """A Tversky for the classes or regions of `problem`."""
        return Tversky(
            exclusive=problem.exclusive,
            weights=(self.alpha, self.beta),
            exponent=self.exponent,
            background=self.background,
            batch=self.batch,
            smooth=self.smooth,
        )

    def faults(self, problem: Problem) -> list[str]:
        """Why the loss cannot be used for `problem`."""
        faults = super().faults(problem)
        if not self.alpha and not self.beta:
            faults.append("alpha and beta: both are 0, so that nothing costs anything; at least one has to be above")
        return faults
