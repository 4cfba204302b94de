"""Activations by name: torch's own, and maxout and the perceptron's step against brute force and its learning rule."""

from typing import get_args

import pytest
import torch
from torch import nn

from hilum.layers.activations import Activation, Maxout, Step, activation, gain, widening

NAMES = get_args(Activation)
SMOOTH = [name for name in NAMES if name != "step"]


def features(channels: int = 4, *, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(2, channels, 3, 2, generator=torch.Generator().manual_seed(1), dtype=dtype)


@pytest.mark.parametrize("name", NAMES)
def test_channels_are_as_many_as_widening_says(name: Activation) -> None:
    given = features(4 * widening(name))
    assert activation(name).double()(given.clone()).shape == (2, 4, 3, 2)
    assert activation(name).double()(given.flatten(1)).shape == (2, 24)
    assert gain(name) > 0


@pytest.mark.parametrize("name", SMOOTH)
def test_gradient_against_finite_differences(name: Activation) -> None:
    layer = activation(name).double()
    assert torch.autograd.gradcheck(lambda given: layer(given.clone()), features().requires_grad_())


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("relu", torch.relu),
        ("leaky_relu", lambda given: torch.where(given > 0, given, 0.01 * given)),
        ("prelu", lambda given: torch.where(given > 0, given, 0.25 * given)),
        ("elu", lambda given: torch.where(given > 0, given, given.exp() - 1)),
        ("gelu", lambda given: given * (1 + torch.erf(given / 2**0.5)) / 2),
        ("silu", lambda given: given / (1 + (-given).exp())),
        ("tanh", torch.tanh),
        ("sigmoid", lambda given: 1 / (1 + (-given).exp())),
        ("step", lambda given: (given > 0).double()),
        ("identity", lambda given: given),
    ],
)
def test_closed_forms(name: Activation, theirs: object) -> None:
    assert callable(theirs)
    torch.testing.assert_close(activation(name).double()(features()), theirs(features()))


def test_maxout_takes_the_largest_of_neighbouring_channels() -> None:
    given = features(6)
    expected = torch.stack([given[:, 0:3].max(1).values, given[:, 3:6].max(1).values], dim=1)
    assert torch.equal(Maxout(3)(given), expected)


def test_step_lets_the_gradient_through() -> None:
    given = features().requires_grad_()
    (Step()(given) * features().square()).sum().backward()
    assert given.grad is not None
    assert torch.equal(given.grad, features().square())


def test_step_with_half_the_squared_error_is_the_rule_of_the_perceptron() -> None:
    """Rosenblatt: w += (t - y) x for each case, b += t - y."""
    cases, truth = features().flatten(1), torch.tensor([[1.0], [0.0]], dtype=torch.float64)
    layer = nn.Linear(24, 1).double()
    answer = Step()(layer(cases))
    (answer - truth).square().sum().div(2).backward()
    assert layer.weight.grad is not None
    assert layer.bias.grad is not None
    torch.testing.assert_close(-layer.weight.grad, ((truth - answer) * cases).sum(0, keepdim=True))
    torch.testing.assert_close(-layer.bias.grad, (truth - answer).sum(0))
