"""The sum of soft Dice and focal loss, for rare structures."""

from typing import Annotated, ClassVar

from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import nn

from hilum.losses.base import ClassWeights, LossConfig, by_class, weight_faults
from hilum.losses.dice import Dice
from hilum.losses.dice_ce import WeightedSum
from hilum.losses.focal import Focal
from hilum.problem import Problem


class DiceFocalConfig(LossConfig, kind="dice_focal"):
    """Soft Dice plus focal loss (as in Zhu et al. 2019, AnatomyNet, doi:10.1002/mp.13300)."""

    tasks: ClassVar[frozenset[str]] = frozenset({"segmentation"})
    balanced_field: ClassVar[str] = "class_weights"

    dice_weight: NonNegativeFloat = 1.0
    """Factor of the Dice part."""
    focal_weight: NonNegativeFloat = 1.0
    """Factor of the focal part."""
    gamma: NonNegativeFloat = 2.0
    """How strongly the focal part turns away from easy voxels; 0 is cross-entropy."""
    alpha: Annotated[float, Field(ge=0, le=1)] | None = None
    """Weight of foreground in the focal part, against 1 - alpha for background; null weighs both with 1."""
    class_weights: ClassWeights = Field(default_factory=dict)
    """Weight of a class in the focal part by its name (of the voxels inside a region); 1 for those not named. Or
    balanced: n / (k n_c) for class c of k, which has n_c of the n voxels of the training part; for a region those
    outside over those inside."""
    background: bool = False
    """Whether the background of exclusive classes counts as a class of the Dice part."""
    batch: bool = False
    """Whether the Dice part sums volumes over the batch before the ratio is taken."""
    smooth: PositiveFloat = 1e-5
    """Voxels added to numerator and denominator of the Dice part."""

    def build(self, problem: Problem) -> nn.Module:
        """The weighted sum of a Dice and a Focal for `problem`."""
        weights = by_class(self.class_weights, problem) if self.class_weights else None
        dice = Dice(exclusive=problem.exclusive, background=self.background, batch=self.batch, smooth=self.smooth)
        focal = Focal(exclusive=problem.exclusive, gamma=self.gamma, alpha=self.alpha, weights=weights)
        return WeightedSum([dice, focal], weights=[self.dice_weight, self.focal_weight])

    def faults(self, problem: Problem) -> list[str]:
        """Why the loss cannot be used for `problem`."""
        faults = super().faults(problem) + weight_faults("class_weights", self.class_weights, problem)
        if self.alpha is not None and self.class_weights:
            faults.append("alpha and class_weights: received both, expected one of them")
        if not self.dice_weight and not self.focal_weight:
            faults.append("dice_weight and focal_weight: both are 0, at least one has to be above")
        return faults
