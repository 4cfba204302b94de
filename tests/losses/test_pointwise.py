"""Squared, absolute and Huber errors: by hand, against torch's, and with continuous targets."""

from typing import Any

import pytest
import torch
from torch.nn import functional

from hilum.losses.base import LossConfig
from hilum.losses.huber import huber
from hilum.losses.pointwise import Pointwise
from hilum.problem import IGNORE, Problem
from hilum.registry import kinds

THEIRS = {
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "huber": lambda one, other: functional.huber_loss(one, other, delta=0.3),
}
OPTIONS: dict[str, dict[str, Any]] = {"huber": {"delta": 0.3}}
every_kind = pytest.mark.parametrize("kind", THEIRS)


def config(kind: str, **options: Any) -> LossConfig:
    found = kinds("losses")[kind].model_validate(OPTIONS.get(kind, {}) | options)
    assert isinstance(found, LossConfig)
    return found


def problem(*, exclusive: bool) -> Problem:
    names, values = ("a", "b", "c"), ((0,), (1,), (2,))
    return Problem("segmentation", 2, channels=("scan",), classes=names, values=values, exclusive=exclusive)


def logits() -> torch.Tensor:
    return torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1))


@every_kind
@pytest.mark.parametrize("of", ["probabilities", "outputs"])
def test_classes_as_torch_on_one_hot(kind: str, of: str) -> None:
    targets = torch.randint(0, 3, (2, 4, 5), generator=torch.Generator().manual_seed(2))
    truth = functional.one_hot(targets, 3).movedim(-1, 1).float()
    predicted = logits().softmax(1) if of == "probabilities" else logits()
    value = config(kind, of=of).build(problem(exclusive=True))(logits(), targets)
    torch.testing.assert_close(value, THEIRS[kind](predicted, truth))


@every_kind
def test_regions_as_torch(kind: str) -> None:
    targets = torch.randint(0, 2, (2, 3, 4, 5), generator=torch.Generator().manual_seed(3))
    value = config(kind).build(problem(exclusive=False))(logits(), targets)
    torch.testing.assert_close(value, THEIRS[kind](logits().sigmoid(), targets.float()))


def test_brier_score_by_hand() -> None:
    """p = (3/4, 1/4): half of (1/16 + 1/16) for the first case; the second is ignored."""
    given = torch.log(torch.tensor([[0.75, 0.25], [0.1, 0.9]]))
    value = config("mse").build(problem(exclusive=True))(given, torch.tensor([0, IGNORE]))
    assert value.item() == pytest.approx(1 / 16)


@pytest.mark.parametrize(("difference", "expected"), [(0.2, 0.02), (-0.2, 0.02), (0.5, 0.125), (2.0, 0.875), (0, 0)])
def test_huber_by_hand(difference: float, expected: float) -> None:
    assert huber(torch.tensor(difference), 0.5).item() == pytest.approx(expected)


@every_kind
def test_continuous_targets_of_which_some_are_nan(kind: str) -> None:
    targets = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(4))
    targets[0, 1] = torch.nan
    known = ~targets.isnan()
    made = config(kind).build(problem(exclusive=False))
    assert isinstance(made, Pointwise)
    loss = Pointwise(made.penalty, continuous=True)
    guess = logits().requires_grad_()
    value = loss(guess, targets)
    value.backward()
    torch.testing.assert_close(value, THEIRS[kind](logits()[known], targets[known]))
    assert guess.grad is not None
    assert (guess.grad[~known] == 0).all()
    assert loss(logits(), torch.full_like(targets, torch.nan)) == 0
