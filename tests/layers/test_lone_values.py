"""A norm that sees one value alone: found where torch refuses it, and where it silently makes zeros of all it gets."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hilum.layers.lone_values import lone_norm


def net(norm: nn.Module) -> nn.Sequential:
    """A network of (B, 1, *spatial) to (B, 4, *spatial / 2), with the norm behind its convolution."""
    return nn.Sequential(nn.Conv2d(1, 4, 2, stride=2), norm, nn.ReLU())


@pytest.mark.parametrize(
    ("norm", "batch", "size", "learns"),
    [
        (nn.BatchNorm2d(4), 1, 2, False),
        (nn.BatchNorm2d(4), 2, 2, True),
        (nn.BatchNorm2d(4), 1, 4, True),
        (nn.GroupNorm(4, 4), 3, 2, False),
        (nn.GroupNorm(2, 4), 1, 2, True),
        (nn.GroupNorm(4, 4), 1, 4, True),
        (nn.InstanceNorm2d(4), 3, 2, False),
        (nn.InstanceNorm2d(4), 3, 4, True),
    ],
)
def test_found_exactly_where_nothing_reaches_the_layers_before(
    norm: nn.Module, batch: int, size: int, learns: bool
) -> None:
    model, images = net(norm), torch.randn(batch, 1, size, size, generator=torch.manual_seed(0))
    try:
        (model(images) ** 3).sum().backward()
        gradient = next(model.parameters()).grad
        reaches = gradient is not None and bool(gradient.abs().max() > 1e-9)
    except ValueError:  # torch refuses it
        reaches = False
    assert reaches is learns
    assert lone_norm(net(norm).to("meta"), images.shape) == (None if learns else "1")


def test_a_norm_that_stays_still_may_see_one_value() -> None:
    model = net(nn.BatchNorm2d(4)).to("meta")
    assert lone_norm(model, (1, 1, 2, 2), still=(model[1],)) is None


def test_the_network_stays_as_it_was() -> None:
    model = net(nn.BatchNorm2d(4)).to("meta").eval()
    assert lone_norm(model, (1, 1, 2, 2)) == "1"
    assert not model.training
    assert not model[1]._forward_pre_hooks
