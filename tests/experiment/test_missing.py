"""The network of an experiment: untouched without `data.missing`, wrapped and wider with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hilum.errors import ConfigError
from hilum.experiment import Experiment, load
from hilum.layers.presence import PresenceInput
from hilum.problem import Problem
from hilum.training.average import WeightAverage

CONFIG = """\
name: brain
task: {kind: segmentation, classes: {background: 0, tumour: 1}}
data:
  source: {kind: phantom}
  patch: {size: [16, 16, 16]}
network: {kind: unet, channels: [4, 8]}
loss: dice
metrics: [dice]
"""
PROBLEM = Problem("segmentation", 3, ("flair", "t1c"), ("background", "tumour"), values=((0,), (1,)), size=(16, 16, 16))


@pytest.fixture
def experiment(tmp_path: Path) -> Callable[..., Experiment]:
    def make(*words: str) -> Experiment:
        (tmp_path / "brain.yaml").write_text(CONFIG)
        return load(tmp_path / "brain.yaml", list(words))

    return make


def test_without_the_section_it_is_the_bare_network(experiment: Callable[..., Experiment]) -> None:
    torch.manual_seed(3)
    ours = experiment().build_network(PROBLEM)
    torch.manual_seed(3)
    bare = experiment().network.build(PROBLEM)
    assert type(ours) is type(bare)
    assert list(ours.state_dict()) == list(bare.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), bare.state_dict().values(), strict=True))


@pytest.mark.parametrize(("presence", "inputs"), [("true", 4), ("false", 2)])
def test_presence_planes_are_channels_of_the_network(
    experiment: Callable[..., Experiment], presence: str, inputs: int
) -> None:
    network = experiment(f"data.missing={{presence: {presence}}}").build_network(PROBLEM)
    assert isinstance(network, PresenceInput)
    first = next(network.parameters())
    assert first.shape[1] == inputs
    images = torch.randn(2, 2, 16, 16, 16)
    images[0, 1] = torch.nan
    assert network(images).shape == (2, 2, 16, 16, 16)
    assert torch.isfinite(network(images)).all()


def test_the_answer_does_not_depend_on_what_is_missing_being_nan(experiment: Callable[..., Experiment]) -> None:
    """The same as the inner network on zeros and planes that are put together by hand."""
    network = experiment("data.missing={}").build_network(PROBLEM).eval()
    assert isinstance(network, PresenceInput)
    images = torch.randn(1, 2, 16, 16, 16)
    by_hand = torch.cat([images[:, :1], torch.zeros_like(images[:, :1])], 1)
    planes = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1, 1).expand_as(images)
    lacking = images.clone()
    lacking[:, 1] = torch.nan
    assert torch.equal(network(lacking), network.network(torch.cat([by_hand, planes], 1)))


def test_weights_survive_averaging_and_a_checkpoint(experiment: Callable[..., Experiment]) -> None:
    made = experiment("data.missing={}")
    network, other = made.build_network(PROBLEM), made.build_network(PROBLEM)
    average = WeightAverage(network, 0.9)
    average.update(other, 1)
    other.load_state_dict(network.state_dict())
    assert isinstance(average.model, PresenceInput)
    images = torch.randn(1, 2, 16, 16, 16)
    assert torch.equal(network.eval()(images), other.eval()(images))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("data.missing={dropout: 1.5}", "data.missing.dropout"),
        ("data.missing={presense: true}", "presence"),
        ("data.missing=yes", "data.missing"),
    ],
)
def test_mistakes_in_the_section_are_named(experiment: Callable[..., Experiment], word: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        experiment(word)
