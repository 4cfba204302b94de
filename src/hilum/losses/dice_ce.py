"""The sum of soft Dice and cross-entropy, the usual loss of medical segmentation."""

from typing import Annotated, ClassVar

from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from hilum.losses.base import ClassWeights, LossConfig, by_class, weight_faults
from hilum.losses.bce import BinaryCrossEntropy
from hilum.losses.cross_entropy import CrossEntropy
from hilum.losses.dice import Dice
from hilum.problem import Problem


class WeightedSum(nn.Module):
    """Sum of losses of the same logits and targets, each times its weight."""

    def __init__(self, losses: list[nn.Module], *, weights: list[float]) -> None:
        """Take one weight a loss."""
        super().__init__()
        self.losses = nn.ModuleList(losses)
        self.weights = weights

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Scalar from logits (B, C, *spatial) and targets."""
        total = logits.new_zeros(())
        for weight, loss in zip(self.weights, self.losses, strict=True):
            total = total + weight * loss(logits, targets)
        return total


class DiceCrossEntropyConfig(LossConfig, kind="dice_ce"):
    """Soft Dice plus cross-entropy; for regions, soft Dice plus binary cross-entropy."""

    tasks: ClassVar[frozenset[str]] = frozenset({"segmentation"})
    balanced_field: ClassVar[str] = "class_weights"

    dice_weight: NonNegativeFloat = 1.0
    """Factor of the Dice part."""
    ce_weight: NonNegativeFloat = 1.0
    """Factor of the cross-entropy part."""
    class_weights: ClassWeights = Field(default_factory=dict)
    """Weight of a class in the cross-entropy by its name (of the voxels inside a region); 1 for those not named. Or
    balanced: n / (k n_c) for class c of k, which has n_c of the n voxels of the training part; for a region those
    outside over those inside."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each target of the cross-entropy that is spread evenly over all classes; not for regions."""
    background: bool = False
    """Whether the background of exclusive classes counts as a class of the Dice part."""
    batch: bool = False
    """Whether the Dice part sums volumes over the batch before the ratio is taken."""
    smooth: PositiveFloat = 1e-5
    """Voxels added to numerator and denominator of the Dice part."""

    def build(self, problem: Problem) -> nn.Module:
        """The weighted sum of a Dice and of the cross-entropy that suits `problem`."""
        weights = by_class(self.class_weights, problem)
        dice = Dice(exclusive=problem.exclusive, background=self.background, batch=self.batch, smooth=self.smooth)
        entropy = (
            CrossEntropy(weights, label_smoothing=self.label_smoothing)
            if problem.exclusive
            else BinaryCrossEntropy(weights)
        )
        return WeightedSum([dice, entropy], weights=[self.dice_weight, self.ce_weight])

    def faults(self, problem: Problem) -> list[str]:
        """Why the loss cannot be used for `problem`."""
        faults = super().faults(problem) + weight_faults("class_weights", self.class_weights, problem)
        if not problem.exclusive and self.label_smoothing:
            faults.append("label_smoothing: is for classes that exclude each other, and regions do not; remove it")
        if not self.dice_weight and not self.ce_weight:
            faults.append("dice_weight and ce_weight: both are 0, at least one has to be above")
        return faults
