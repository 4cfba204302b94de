"""The mean absolute error."""

import torch
from torch import nn

from hilum.losses.pointwise import PointwiseConfig
from hilum.problem import Problem


class MeanAbsoluteErrorConfig(PointwiseConfig, kind="mae"):
    """Mean absolute error: outliers, and wrong labels, weigh less than in the squared one."""

    def build(self, problem: Problem) -> nn.Module:
        """The mean of the absolute differences."""
        return self.pointwise(torch.abs, problem)
