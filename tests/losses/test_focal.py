"""The focal loss by hand on a few numbers, and the problems it refuses."""

import math

import pytest
import torch

from hilum.losses.focal import Focal, FocalConfig
from hilum.problem import IGNORE, Problem


def test_exponent_and_balance() -> None:
    """p = 3/4 on background and on foreground, one voxel ignored: (0.2 + 0.8) / 2 * (1/4)^2 * ln(4/3)."""
    logits = torch.log(torch.tensor([[[[0.75, 0.25, 0.1]], [[0.25, 0.75, 0.9]]]]))
    targets = torch.tensor([[[0, 1, IGNORE]]])
    value = Focal(exclusive=True, gamma=2, alpha=0.8)(logits, targets).item()
    assert value == pytest.approx((0.2 + 0.8) / 2 * 0.25**2 * math.log(4 / 3))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("exclusive", [True, False])
def test_certain_voxels_have_a_finite_gradient(gamma: float, exclusive: bool) -> None:
    logits = torch.full((1, 2, 2, 2), 200.0)
    logits[:, 0] = -200.0
    logits.requires_grad_()
    targets = torch.ones((1, 2, 2), dtype=torch.long)
    if not exclusive:
        targets = torch.stack([torch.zeros_like(targets), targets], dim=1)
    value = Focal(exclusive=exclusive, gamma=gamma)(logits, targets)
    value.backward()
    assert value == 0
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_balance_is_refused_for_many_classes() -> None:
    classes, values = ("a", "b", "c"), ((0,), (1,), (2,))
    problem = Problem("classification", 2, channels=("image",), classes=classes, values=values)
    assert FocalConfig().faults(problem) == []
    assert "class_weights" in FocalConfig(alpha=0.25).faults(problem)[0]
