"""The soft Dice loss: one minus the overlap of predicted probabilities and truth."""

from typing import ClassVar

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from hilum.losses.base import LossConfig, full_precision, summed
from hilum.problem import IGNORE, Problem


class Dice(nn.Module):
    """1 - (2 sum(p t) + s) / (sum(p) + sum(t) + s), averaged over classes and samples (Milletari et al. 2016, V-Net).

    Sums run over the voxels that are not ignored, of each sample or of the whole batch; s is `smooth`. A class that is
    neither there nor predicted costs nothing.
    """

    def __init__(self, *, exclusive: bool, background: bool = False, batch: bool = False, smooth: float = 1e-5) -> None:
        """Take softmax probabilities where classes are exclusive, and count class 0 of these only with `background`."""
        super().__init__()
        self.exclusive = exclusive
        self.background = background
        self.batch = batch
        self.smooth = smooth

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Scalar from logits (B, C, *spatial) and targets, class indices (B, *spatial) or regions (B, C, *spatial)."""
        logits = full_precision(logits)
        probabilities = logits.softmax(1) if self.exclusive else logits.sigmoid()
        if self.exclusive:
            classes = torch.arange(logits.shape[1], device=targets.device).view(1, -1, *(1,) * (targets.dim() - 1))
            seen = (targets != IGNORE).unsqueeze(1)
            truth = targets.unsqueeze(1) == classes
            if not self.background:
                probabilities, truth = probabilities[:, 1:], truth[:, 1:]
        else:
            seen = targets != IGNORE
            truth = targets == 1
        probabilities = probabilities * seen
        axes = (0, *range(2, logits.dim())) if self.batch else tuple(range(2, logits.dim()))
        overlap = (probabilities * truth).sum(axes)
        volumes = probabilities.sum(axes) + truth.sum(axes)
        if self.batch:
            overlap, volumes = summed(overlap), summed(volumes)
        return (1 - (2 * overlap + self.smooth) / (volumes + self.smooth)).mean()


class DiceConfig(LossConfig, kind="dice"):
    """Soft Dice of each class or region: small structures count as much as large ones."""

    tasks: ClassVar[frozenset[str]] = frozenset({"segmentation"})

    background: bool = False
    """Whether the background of exclusive classes counts as a class."""
    batch: bool = False
    """Whether volumes are summed over the batch (of all processes) before the ratio is taken: steadier where patches
    often lack a class, but then the value depends on which samples share a batch."""
    smooth: PositiveFloat = 1e-5
    """Voxels added to numerator and denominator, so that an absent class gives 0 rather than 0 / 0."""

    def build(self, problem: Problem) -> nn.Module:
        """A Dice for the classes or regions of `problem`."""
        return Dice(exclusive=problem.exclusive, background=self.background, batch=self.batch, smooth=self.smooth)
