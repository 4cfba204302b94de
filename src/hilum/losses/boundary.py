"""The boundary loss: every wrong voxel costs its distance from the true border."""

from typing import ClassVar

from torch import Tensor, nn

from hilum.losses.base import LossConfig, weighted_mean
from hilum.losses.compared import compared
from hilum.losses.distance_maps import distance_maps, signed
from hilum.problem import Problem


class Boundary(nn.Module):
    """Mean of phi (p - t) over voxels that are not ignored and classes, phi the signed distance to the true border.

    Kervadec et al. 2021 (doi:10.1016/j.media.2020.101851), equation 6 with the part that no network can change, so that
    a perfect answer costs 0. Distances are in voxels, negative inside, 0 for the outermost voxels of a structure; what
    is ignored counts as outside. A structure that is not there has no border, and inventing it costs nothing.
    """

    def __init__(self, *, exclusive: bool, background: bool = False) -> None:
        """Take softmax probabilities where classes are exclusive, and count class 0 of these only with `background`."""
        super().__init__()
        self.exclusive = exclusive
        self.background = background

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Scalar from logits (B, C, *spatial) and targets, class indices (B, *spatial) or regions (B, C, *spatial)."""
        pair = compared(logits, targets, exclusive=self.exclusive, background=self.background)
        costs = distance_maps(pair.truth, signed).to(pair.truth.dtype) * (pair.predicted - pair.truth)
        return weighted_mean(costs, pair.seen.to(costs.dtype).expand_as(costs))


class BoundaryConfig(LossConfig, kind="boundary"):
    """Boundary loss (Kervadec et al. 2021), for use beside another: [dice, {kind: boundary, weight: 0.05}]."""

    tasks: ClassVar[frozenset[str]] = frozenset({"segmentation"})

    background: bool = False
    """Whether the background of exclusive classes counts as a class."""

    def build(self, problem: Problem) -> nn.Module:
        """A Boundary for the classes or regions of `problem`."""
        return Boundary(exclusive=problem.exclusive, background=self.background)
