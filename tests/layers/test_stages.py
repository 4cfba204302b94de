"""The stages of networks: every parameter in just one, named as people name them, in the order of the way through."""

from __future__ import annotations

import pytest
import torch
from tests.contracts.test_networks import NETWORKS, tiny
from torch import nn

from hilum.layers.presence import PresenceInput
from hilum.layers.stages import stage_fault, stages
from hilum.networks.resnet import BasicBlock, ResNet, ResNetLayout


def resnet() -> ResNet:
    return ResNet(2, 1, 3, layout=ResNetLayout(BasicBlock, (1, 1, 1, 1), width=2), dropout=0.0)


def names(model: nn.Module) -> list[str]:
    return [stage.name for stage in stages(model)]


def test_a_resnet_has_those_of_its_paper_and_norms_belong_to_the_convolution_before() -> None:
    found = stages(resnet())
    assert [stage.name for stage in found] == ["conv1", "layer1", "layer2", "layer3", "layer4", "fc"]
    assert found[0].parts == ("conv1", "bn1")
    assert found[1].holds("layer1.0.conv1.weight")
    assert not found[1].holds("layer10.weight")


@pytest.mark.parametrize(
    ("kind", "first", "last", "count"),
    [
        ("densenet", "features.conv0", "classifier", 9),
        ("alexnet", "features.0", "classifier.6", 8),
        ("vgg", "features.0", "classifier.6", 11),
        ("inception", "conv1", "fc", 13),
        ("lenet5", "features.c1", "classifier.output", 5),
        ("unet", "encoder.0", "head", 8),
    ],
)
def test_networks_of_few_parts_are_taken_apart(kind: str, first: str, last: str, count: int) -> None:
    found = names(tiny(kind, 2)[0])
    assert (found[0], found[-1], len(found)) == (first, last, count)


def test_a_wrapper_is_no_stage() -> None:
    assert names(PresenceInput(resnet(), presence=False))[0] == "network.conv1"


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_parameter_is_in_one_stage(kind: str) -> None:
    with torch.device("meta"):
        model, _ = tiny(kind, 2)
    found = stages(model)
    for name, _ in model.named_parameters():
        assert sum(stage.holds(name) for stage in found) == 1, name


def test_an_unknown_stage_is_told_with_the_nearest_and_all() -> None:
    found = stages(resnet())
    assert stage_fault("layer2", found) is None
    assert stage_fault("layr2", found) == (
        "received 'layr2', which is no stage of the network, expected one of conv1, layer1, layer2, layer3, layer4, "
        "fc; did you mean 'layer2'?"
    )
