"""Deep supervision of the U-Net: logits of coarser levels in training, the same network without them afterwards."""

import copy

import pytest
import torch
from pydantic import ValidationError

from hilum.layers.presence import PresenceInput
from hilum.losses.deep_supervision import DeepSupervision
from hilum.losses.dice_ce import DiceCrossEntropyConfig
from hilum.networks.unet import UNetConfig
from hilum.problem import Problem
from hilum.training.average import WeightAverage

LEVELS = (4, 5, 6, 7, 8)


def problem(dims: int, channels: int = 1) -> Problem:
    names = tuple(f"channel{index}" for index in range(channels))
    return Problem("segmentation", dims, names, classes=("background", "organ"), values=((0,), (1,)))


def built(dims: int, *, deep: bool, channels: int = 1) -> torch.nn.Module:
    torch.manual_seed(3)
    return UNetConfig(channels=LEVELS, deep_supervision=deep).build(problem(dims, channels))


def images(dims: int) -> torch.Tensor:
    return torch.randn(2, 1, *(16, 32, 16)[:dims], generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("dims", [2, 3])
def test_training_gives_every_level_but_the_lowest_of_the_decoder_and_all_learn(dims: int) -> None:
    model = built(dims, deep=True)
    logits = model(images(dims))
    assert [tuple(each.shape) for each in logits] == [
        (2, 2, *(side // factor for side in (16, 32, 16)[:dims])) for factor in (1, 2, 4)
    ]
    targets = torch.randint(0, 2, (2, *(16, 32, 16)[:dims]), generator=torch.Generator().manual_seed(6))
    DeepSupervision(DiceCrossEntropyConfig().build(problem(dims)))(logits, targets).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, f"{name} has no part in the loss: several processes would wait for it"
        assert parameter.grad.abs().sum() > 0, name
    assert model.get_parameter("supervision.1.weight").shape[:2] == (2, 6)


@pytest.mark.parametrize("dims", [2, 3])
def test_evaluation_is_that_of_the_same_weights_without_it(dims: int) -> None:
    """The weights that both have are drawn alike, too."""
    deep, plain = built(dims, deep=True).eval(), built(dims, deep=False).eval()
    shared = plain.state_dict()
    assert {name for name in deep.state_dict() if name not in shared} == {
        f"supervision.{head}.{part}" for head in (0, 1) for part in ("weight", "bias")
    }
    assert all(torch.equal(value, deep.state_dict()[name]) for name, value in shared.items())
    with torch.no_grad():
        assert torch.equal(deep(images(dims)), plain(images(dims)))
        assert torch.equal(deep.train()(images(dims))[0], plain(images(dims)))


def test_strides_of_each_axis_decide_the_resolutions() -> None:
    config = UNetConfig(channels=(2, 3, 4, 5), strides=((1, 2, 2), 2, 2), deep_supervision=True)
    logits = config.build(problem(3))(torch.zeros(1, 1, 8, 16, 16))
    assert [tuple(each.shape[2:]) for each in logits] == [(8, 16, 16), (8, 8, 8)]


def test_the_average_of_the_weights_and_missing_channels_go_through() -> None:
    model = PresenceInput(built(2, deep=True, channels=4), presence=True)
    given = images(2).repeat(1, 2, 1, 1)
    given[0, 1] = torch.nan
    assert [tuple(each.shape[2:]) for each in model(given)] == [(16, 32), (8, 16), (4, 8)]
    average = WeightAverage(model, 0.5)
    moved = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in moved.parameters():
            parameter.add_(1)
    average.update(moved, 100)
    for averaged, before in zip(average.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(averaged.data, before.data + 0.5)
    assert average.model(given).shape == (2, 2, 16, 32)


def test_too_few_levels_are_refused_at_the_key() -> None:
    with pytest.raises(ValidationError) as caught:
        UNetConfig(channels=(4, 8, 16), deep_supervision=True)
    (fault,) = caught.value.errors()
    assert fault["loc"] == ("deep_supervision",)
    assert "expected false with 3 levels in channels, or 4 levels and more" in fault["msg"]
