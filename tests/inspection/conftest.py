"""Networks with weights that let every influence through, for the tests of what they see."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hilum.networks.base import NetworkConfig
from hilum.problem import Problem
from hilum.registry import kinds

Build = Callable[..., nn.Module]
NORMS = (nn.GroupNorm, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.LayerNorm)


class Summed(nn.Module):
    """A max pool whose neighbours all count, so that each has a gradient."""

    def __init__(self, pool: nn.MaxPool2d | nn.MaxPool3d) -> None:
        super().__init__()
        average = nn.AvgPool2d if isinstance(pool, nn.MaxPool2d) else nn.AvgPool3d
        self.pool = average(pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        pooled: Tensor = self.pool(features)
        return pooled


def configured(kind: str, **settings: Any) -> NetworkConfig:
    found = kinds("networks")[kind].model_validate(settings)
    assert isinstance(found, NetworkConfig)
    return found


def problem(config: NetworkConfig, size: tuple[int, ...], *, channels: int = 1, classes: int = 2) -> Problem:
    names = tuple(f"class{number}" for number in range(classes))
    values = tuple((number,) for number in range(classes))
    images = tuple(f"channel{number}" for number in range(channels))
    return Problem(config.task, len(size), channels=images, classes=names, values=values, size=size)


def replaced(model: nn.Module) -> nn.Module:
    """The model without norms, whose statistics see all of an image, and with pools that let all neighbours through."""
    for name, child in model.named_children():
        if isinstance(child, NORMS):
            setattr(model, name, nn.Identity())
        elif isinstance(child, nn.MaxPool2d | nn.MaxPool3d):
            setattr(model, name, Summed(child))
        else:
            replaced(child)
    return model


@pytest.fixture
def open_network() -> Build:
    def build(kind: str, size: tuple[int, ...], **settings: Any) -> nn.Module:
        """A network of positive weights in double precision: no influence is cut off, none cancels another."""
        config = configured(kind, **settings)
        asked = problem(config, size)
        if any("pip install" in fault for fault in config.faults(asked)):
            pytest.skip("not installed")
        model = replaced(config.build(asked)).double().eval()
        torch.manual_seed(1)
        with torch.no_grad():
            for weights in model.parameters():
                weights.uniform_(0.5, 1.5).div_(max(1, weights[0].numel()) if weights.ndim > 1 else 1)
        return model

    return build
