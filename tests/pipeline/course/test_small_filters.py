"""Rung 8 against what can be counted by hand: 7 x 7 pixels seen either way, 49 C^2 weights against 27 C^2."""

from pathlib import Path

import pytest
import torch
from torch import nn

from hilum.pipeline.course.small_filters import (
    NETWORKS,
    SIDE,
    first_field,
    first_stage,
    seen_by_centre,
    stage_weights,
)
from hilum.pipeline.describing import describe

CONFIG = Path(__file__).parents[3] / "configs" / "course" / "08_small_filters.yaml"
SETTINGS = dict(NETWORKS.values())


@pytest.mark.parametrize(("run", "factor"), [("large", 49), ("small", 27)])
def test_both_see_seven_pixels_and_the_small_ones_have_fewer_weights(run: str, factor: int) -> None:
    described = describe(CONFIG, SETTINGS[run])
    assert first_field(described) == (7, 7)
    assert stage_weights(described) == factor * 16**2


@pytest.mark.parametrize("kernels", [[7], [3, 3, 3]])
def test_nothing_outside_seven_pixels_moves_the_middle(kernels: list[int]) -> None:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for number, kernel in enumerate(kernels):
        layers += [nn.Conv2d(1 if number == 0 else 4, 4, kernel, padding="same"), nn.Tanh()]
    seen = seen_by_centre(nn.Sequential(*layers), images=20)
    inside = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    inside[SIDE // 2 - 3 : SIDE // 2 + 4, SIDE // 2 - 3 : SIDE // 2 + 4] = True
    assert (seen[inside] > 0).all()
    assert (seen[~inside] == 0).all()


def test_the_first_stage_is_what_stands_before_the_first_pooling() -> None:
    from hilum.experiment import load

    experiment = load(CONFIG)
    problem = experiment.task.problem(channels=("image",), dims=2, size=(16, 16))
    stage = first_stage(experiment.network.build(problem))
    assert [type(layer).__name__ for layer in stage.children()] == ["Conv2d", "ReLU"] * 3
