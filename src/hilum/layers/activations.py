"""Activation functions by name."""

from typing import Literal

from torch import Tensor, nn

Activation = Literal[
    "relu", "leaky_relu", "prelu", "elu", "gelu", "silu", "tanh", "sigmoid", "step", "maxout", "identity"
]

LEAKY_SLOPE = 0.01
"""Slope of leaky_relu below zero; initialisation takes it into account."""

MAXOUT_PIECES = 2
"""Linear pieces of which maxout takes the largest."""

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
}


class Step(nn.Module):
    """1 above zero, 0 elsewhere: the unit of the perceptron (Rosenblatt 1958, doi:10.1037/h0042519).

    Its derivative is 0 wherever there is one, so nothing would be learned. In the backward pass it lets the gradient
    through as it is (the straight-through estimator, Bengio et al. 2013, arXiv:1308.3432): with half the squared error
    as loss, a step of gradient descent is then the perceptron's own learning rule.
    """

    def forward(self, features: Tensor) -> Tensor:
        """0 and 1 in the shape of `features`."""
        return (features > 0).to(features.dtype) + (features - features.detach())


class Maxout(nn.Module):
    """The largest of each group of `pieces` neighbouring channels (Goodfellow et al. 2013, arXiv:1302.4389)."""

    def __init__(self, pieces: int = MAXOUT_PIECES) -> None:
        """Take the number of channels that become one."""
        super().__init__()
        self.pieces = pieces

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C / pieces, *spatial) of features (B, C, *spatial)."""
        return features.unflatten(1, (-1, self.pieces)).amax(2)

    def extra_repr(self) -> str:
        """What the module is printed with."""
        return f"pieces={self.pieces}"


def activation(name: Activation) -> nn.Module:
    """A new module that applies the named function to every element; maxout, to every two channels (see `widening`)."""
    if name == "relu":
        return nn.ReLU(inplace=True)
    if name == "leaky_relu":
        return nn.LeakyReLU(LEAKY_SLOPE, inplace=True)
    if name == "step":
        return Step()
    if name == "maxout":
        return Maxout()
    return _ACTIVATIONS[name]()


def widening(name: Activation) -> int:
    """How many channels the function takes for each one that it gives."""
    return MAXOUT_PIECES if name == "maxout" else 1


def gain(name: Activation) -> float:
    """What weights in front of the function are multiplied by, so that features keep their spread.

    That of torch where it has one; 1 for what is steep or about linear around zero.
    """
    if name in ("relu", "gelu", "silu", "elu", "prelu"):
        return nn.init.calculate_gain("relu")
    if name == "leaky_relu":
        return nn.init.calculate_gain("leaky_relu", LEAKY_SLOPE)
    if name == "tanh":
        return nn.init.calculate_gain("tanh")
    return 1.0
