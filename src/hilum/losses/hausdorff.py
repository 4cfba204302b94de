"""A loss that stands for the Hausdorff distance: squared errors, weighed by how far they are from either border."""

from typing import ClassVar

from pydantic import PositiveFloat
from torch import Tensor, nn

from hilum.losses.base import LossConfig, weighted_mean
from hilum.losses.compared import compared
from hilum.losses.distance_maps import distance_maps, unsigned
from hilum.problem import Problem


class Hausdorff(nn.Module):
    """Mean of (p - t)^2 (d_p^a + d_t^a) over voxels that are not ignored and classes, with the exponent a.

    Karimi and Salcudean 2020 (doi:10.1109/TMI.2019.2930068), equation 8: d_t is a voxel's distance to the border of the
    truth, d_p to that of the prediction, where p is 1/2 at least; both in voxels. A side without a structure has no
    border.
    """

    def __init__(self, *, exclusive: bool, background: bool = False, exponent: float = 2.0) -> None:
        """Take softmax probabilities where classes are exclusive, and count class 0 of these only with `background`."""
        super().__init__()
        self.exclusive = exclusive
        self.background = background
        self.exponent = exponent

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Scalar from logits (B, C, *spatial) and targets, class indices (B, *spatial) or regions (B, C, *spatial)."""
        pair = compared(logits, targets, exclusive=self.exclusive, background=self.background)
        of_truth, of_prediction = distance_maps(pair.truth, unsigned), distance_maps(pair.predicted >= 1 / 2, unsigned)
        far = of_truth**self.exponent + of_prediction**self.exponent
        costs = (pair.predicted - pair.truth).square() * far.to(pair.truth.dtype)
        return weighted_mean(costs, pair.seen.to(costs.dtype).expand_as(costs))


class HausdorffConfig(LossConfig, kind="hausdorff"):
    """Hausdorff loss by distance transforms (Karimi and Salcudean 2020), for use beside another, such as dice."""

    tasks: ClassVar[frozenset[str]] = frozenset({"segmentation"})

    exponent: PositiveFloat = 2.0
    """How much more far errors cost than near ones; the paper found 1 to 3 to do."""
    background: bool = False
    """Whether the background of exclusive classes counts as a class."""

    def build(self, problem: Problem) -> nn.Module:
        """A Hausdorff for the classes or regions of `problem`."""
        return Hausdorff(exclusive=problem.exclusive, background=self.background, exponent=self.exponent)
