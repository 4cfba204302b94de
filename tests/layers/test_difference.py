"""A network whose answer is added to its input: what comes out, and its gradient."""

from __future__ import annotations

import torch
from torch import nn

from hilum.layers.difference import Difference
from hilum.layers.presence import PresenceInput


def test_the_answer_is_added_to_the_input() -> None:
    images = torch.randn(2, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    inner = nn.Conv2d(1, 1, 1)
    torch.testing.assert_close(Difference(inner)(images), images + inner(images))


def test_gradients_against_finite_differences() -> None:
    images = torch.randn(2, 2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for model in (Difference(nn.Conv2d(2, 2, 1)), PresenceInput(nn.Conv2d(4, 2, 3), presence=True)):
        assert torch.autograd.gradcheck(model.double(), images.clone().requires_grad_(), fast_mode=True)
