"""The Huber loss: squared for small errors, absolute for large ones."""

from functools import partial

from pydantic import PositiveFloat
from torch import Tensor, nn

from hilum.losses.pointwise import PointwiseConfig
from hilum.problem import Problem


def huber(difference: Tensor, delta: float) -> Tensor:
    """d^2 / 2 where d is at most `delta`, delta (d - delta / 2) beyond, for the absolute value d of each difference."""
    size = difference.abs()
    small = size.clamp(max=delta)
    return small * (size - small / 2)


class HuberConfig(PointwiseConfig, kind="huber"):
    """Huber loss (Huber 1964, doi:10.1214/aoms/1177703732): half the squared error up to delta, straight beyond."""

    delta: PositiveFloat = 1.0
    """Where it turns straight; probabilities are never further than 1 from the truth."""

    def build(self, problem: Problem) -> nn.Module:
        """The mean of the penalties."""
        return self.pointwise(partial(huber, delta=self.delta), problem)
