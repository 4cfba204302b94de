"""Normalisations by name, against torch's own layers."""

import pytest
import torch
from torch import nn

from hilum.layers.norms import norm

SHAPE = (2, 6, 5, 4, 3)


@pytest.mark.parametrize("dims", [2, 3])
def test_instance_norm_is_that_of_torch(dims: int) -> None:
    generator = torch.Generator().manual_seed(1)
    features = 3 + 2 * torch.randn(SHAPE[: dims + 2], generator=generator)
    ours = norm("instance", dims, channels=6)
    theirs = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}[dims](6, affine=True)
    weights = {"weight": torch.randn(6, generator=generator), "bias": torch.randn(6, generator=generator)}
    ours.load_state_dict(weights)
    theirs.load_state_dict(weights)
    torch.testing.assert_close(ours(features), theirs(features))
    ours.double(), theirs.double()
    left, right = (features.double().requires_grad_() for _ in range(2))
    ours(left).pow(3).sum().backward()
    theirs(right).pow(3).sum().backward()
    torch.testing.assert_close(left.grad, right.grad)


def test_instance_norm_in_bfloat16_keeps_statistics_in_float32() -> None:
    features = (100 + torch.randn(SHAPE, generator=torch.Generator().manual_seed(2))).bfloat16()
    layer = norm("instance", 3, channels=6)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = layer(features)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), layer(features.float()), rtol=0.02, atol=0.02)


@pytest.mark.parametrize(("channels", "groups"), [(16, 8), (12, 4), (7, 1), (4, 4)])
def test_group_norm_takes_as_many_groups_up_to_8_as_divide_the_channels(channels: int, groups: int) -> None:
    layer = norm("group", 2, channels=channels)
    assert isinstance(layer, nn.GroupNorm)
    assert layer.num_groups == groups


def test_batch_norm_is_that_of_torch() -> None:
    assert type(norm("batch", 2, channels=4)) is nn.BatchNorm2d
    assert type(norm("batch", 3, channels=4)) is nn.BatchNorm3d


@pytest.mark.parametrize("dims", [2, 3])
def test_layer_norm_is_that_of_torch_over_channels_and_space(dims: int) -> None:
    features = 3 + 2 * torch.randn(SHAPE[: dims + 2], generator=torch.Generator().manual_seed(3))
    theirs = nn.LayerNorm(SHAPE[1 : dims + 2], elementwise_affine=False)
    torch.testing.assert_close(norm("layer", dims, channels=6)(features), theirs(features))


def test_features_without_space() -> None:
    features = torch.randn(4, 6, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(norm("layer", 0, channels=6)(features), nn.LayerNorm(6)(features))
    torch.testing.assert_close(norm("batch", 0, channels=6)(features), nn.BatchNorm1d(6)(features))
    assert norm("none", 0, channels=6)(features) is features
