"""The mean squared error."""

import torch
from torch import nn

from hilum.losses.pointwise import PointwiseConfig
from hilum.problem import Problem


class MeanSquaredErrorConfig(PointwiseConfig, kind="mse"):
    """Mean squared error: of probabilities (the Brier score, Brier 1950), of outputs, or of continuous targets."""

    def build(self, problem: Problem) -> nn.Module:
        """The mean of the squared differences."""
        return self.pointwise(torch.square, problem)
