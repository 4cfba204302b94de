"""Cross-entropy between exclusive classes."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from hilum.losses.base import ClassWeights, LossConfig, by_class, counted, full_precision, weight_faults
from hilum.problem import IGNORE, Problem


class CrossEntropy(nn.Module):
    """Mean of -log p[class] over the targets that are not ignored, each weighted by its class; 0 where all are ignored.

    With label smoothing e, the target is 1 - e on the true class plus e / C on every class (Szegedy et al. 2016,
    doi:10.1109/CVPR.2016.308).
    """

    weights: Tensor

    def __init__(self, weights: list[float], *, label_smoothing: float = 0.0) -> None:
        """Take one weight a class."""
        super().__init__()
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32), persistent=False)
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Scalar from logits (B, C, *spatial) and class indices (B, *spatial)."""
        logits = full_precision(logits)
        weights = self.weights.to(logits.dtype)
        total = functional.cross_entropy(
            logits, targets, weights, ignore_index=IGNORE, reduction="sum", label_smoothing=self.label_smoothing
        )
        return total / counted(weights[targets[targets != IGNORE]].sum())


class CrossEntropyConfig(LossConfig, kind="cross_entropy"):
    """Cross-entropy between exclusive classes, weighted by class on request."""

    balanced_field: ClassVar[str] = "class_weights"

    class_weights: ClassWeights = Field(default_factory=dict)
    """Weight of a class by its name; 1 for those not named. Or balanced: n / (k n_c) for class c of k, which has
    n_c of the n cases (voxels of a segmentation) of the training part."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each target that is spread evenly over all classes."""

    def build(self, problem: Problem) -> nn.Module:
        """A CrossEntropy with one weight for each class of `problem`."""
        return CrossEntropy(by_class(self.class_weights, problem), label_smoothing=self.label_smoothing)

    def faults(self, problem: Problem) -> list[str]:
        """Why the loss cannot be used for `problem`."""
        faults = super().faults(problem) + weight_faults("class_weights", self.class_weights, problem)
        if not problem.exclusive:
            faults.append("loss 'cross_entropy' is for classes that exclude each other; for regions take 'bce'")
        return faults
