"""A single layer: linear and logistic regression, and the perceptron."""

import math
from collections import OrderedDict
from typing import Literal, Self

from torch import Tensor, nn

from hilum.layers.activations import activation
from hilum.layers.initialisation import Initialisation, initialise
from hilum.networks.base import NetworkConfig
from hilum.problem import Problem


class Linear(nn.Module):
    """Outputs (B, out_features) that are weighted sums of all voxels of images (B, in_channels, *size).

    With a softmax or sigmoid in the loss this is logistic regression (Cox 1958), with the squared error of the outputs
    themselves linear regression, and with a step at its end the perceptron (Rosenblatt 1958, doi:10.1037/h0042519).
    """

    def __init__(self, in_features: int, out_features: int, *, step: bool = False) -> None:
        """Build the layer, and the step where there is one."""
        super().__init__()
        parts: OrderedDict[str, nn.Module] = OrderedDict(output=nn.Linear(in_features, out_features))
        if step:
            parts["step"] = activation("step")
        self.layers = nn.Sequential(parts)

    def forward(self, images: Tensor) -> Tensor:
        """Outputs (B, out_features); 0 and 1 with a step."""
        outputs: Tensor = self.layers(images.flatten(1))
        return outputs


class LinearConfig(NetworkConfig, kind="linear"):
    """Linear or logistic regression on voxels, or the perceptron, for images of one size."""

    output: Literal["linear", "step"] = "linear"
    """linear: weighted sums, which are the logits of a logistic regression where the loss is a cross-entropy. step: 1
    where they are above 0, else 0: the perceptron, which learns by its rule with the loss {kind: mse, of: outputs}."""
    initialisation: Initialisation = "normal"
    """First weights; the problem is convex, so that zeros will do too."""

    @property
    def needs_size(self) -> bool:
        """Always: every voxel has a weight of its own."""
        return True

    def build(self, problem: Problem) -> nn.Module:
        """A Linear with one output for each class. Raises ConfigError where `problem` has no size."""
        self.refuse_faults(problem)
        voxels = problem.num_channels * math.prod(problem.size or ())
        network = Linear(voxels, problem.num_outputs, step=self.output == "step")
        initialise(network, self.initialisation, activation="identity")
        return network

    @classmethod
    def tiny(cls) -> Self:
        """The same: there is nothing to make smaller."""
        return cls()
