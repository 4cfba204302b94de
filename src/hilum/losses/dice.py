"""The soft Dice loss: one minus the overlap of predicted probabilities and truth."""

from typing import ClassVar

from pydantic import PositiveFloat
from torch import Tensor, nn

from hilum.losses.base import LossConfig
from hilum.losses.compared import compared
from hilum.problem import Problem


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
        pair = compared(logits, targets, exclusive=self.exclusive, background=self.background)
        overlap, predicted, truth = pair.sums(pair.predicted * pair.truth, pair.predicted, pair.truth, batch=self.batch)
        return (1 - (2 * overlap + self.smooth) / (predicted + truth + self.smooth)).mean()


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
