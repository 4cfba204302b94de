"""Which weights fit by name and shape, how a first layer gets other channels, and what is told of the rest."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hilum.errors import CheckpointError
from hilum.training.pretrained import (
    Match,
    Roles,
    any_kernel,
    changed_by,
    load,
    loaded_weights,
    match,
    shared_among_channels,
)


class Net(nn.Module):
    def __init__(self, channels: int = 1, classes: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 4, 3)
        self.bn1 = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, classes)


def given(channels: int = 1, classes: int = 2) -> dict[str, Tensor]:
    torch.manual_seed(8)
    return Net(channels, classes).state_dict()


def roles(net: Net, *, why: str = "") -> Roles:
    state, channels = net.state_dict(), net.conv1.in_channels
    return Roles(
        inputs=changed_by(Net(channels + 1, net.fc.out_features), state),
        heads=changed_by(Net(channels, net.fc.out_features + 1), state),
        new_heads=why,
        num_channels=channels,
    )


def matched(weights: dict[str, Tensor], net: Net, *, why: str = "") -> Match:
    return match(weights, net.state_dict(), roles(net, why=why))


def test_what_depends_on_channels_and_classes_is_found_by_its_shape() -> None:
    found = roles(Net())
    assert found.inputs == {"conv1.weight"}
    assert found.heads == {"fc.weight", "fc.bias"}


def test_the_same_network_gets_every_bit() -> None:
    net, weights = Net(), given()
    found = matched(weights, net)
    load(net, found)
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())
    assert (found.anew, found.summed, found.unused) == ({}, {}, ())
    assert loaded_weights(net, found) == (36 + 4 + 8 + 10, 36 + 4 + 8 + 10)


def test_a_head_of_other_classes_stays_as_it_was_drawn() -> None:
    net = Net(classes=3)
    before = net.fc.weight.detach().clone()
    found = matched(given(), net)
    load(net, found)
    assert found.anew == {"fc.weight": "is (3, 4), in the file (2, 4)", "fc.bias": "is (3,), in the file (2,)"}
    assert torch.equal(net.fc.weight, before)
    assert matched(given(), Net(), why="other classes").anew == {
        "fc.weight": "other classes",
        "fc.bias": "other classes",
    }


def test_what_is_missing_and_what_is_too_much_is_listed() -> None:
    weights = given()
    del weights["bn1.running_mean"], weights["bn1.num_batches_tracked"]
    found = matched({**weights, "aux.weight": torch.ones(2)}, Net())
    assert found.anew == {"bn1.running_mean": "not in the file"}
    assert found.unused == ("aux.weight",)


def test_norms_and_the_head_alone_do_not_make_weights_those_of_the_network() -> None:
    """As where a network of volumes starts from one of pictures: only what has no window fits."""
    net, heads = Net(), frozenset({"fc.weight", "fc.bias"})
    foreign = matched({**given(), "conv1.weight": torch.ones(4, 3, 3, 3, 3)}, net)
    assert "fc.weight" in foreign.taken
    assert not any_kernel(net, foreign, heads=heads)
    assert any_kernel(net, matched(given(), net), heads=heads)
    assert any_kernel(net.fc, Match({"weight": torch.ones(2, 4)}, {}, {}, ()), heads=frozenset({"weight", "bias"}))


@pytest.mark.parametrize("prefix", ["module.", "model.encoder."])
def test_a_shared_prefix_does_not_count(prefix: str) -> None:
    weights = {f"{prefix}{name}": value for name, value in given().items()}
    assert matched(weights, Net()).anew == {}


def test_a_wrapper_around_the_network_does_not_count() -> None:
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = Net()

    assert match(given(), Wrapper().state_dict(), Roles()).anew == {}


@pytest.mark.parametrize(("theirs", "ours"), [(3, 1), (1, 4), (3, 2)])
def test_an_image_repeated_over_all_channels_gives_what_it_gave(theirs: int, ours: int) -> None:
    """sum_c w_c * x is the same for any number of equal channels x, so the old network's map is the new one's."""
    weights, net = given(theirs), Net(ours)
    found = matched(weights, net)
    load(net, found)
    assert found.summed == {"conv1.weight": f"{theirs} input channels shared among {ours}"}
    image = torch.randn(2, 1, 7, 6, generator=torch.Generator().manual_seed(1))
    old = Net(theirs)
    old.load_state_dict(weights)
    torch.testing.assert_close(
        net.conv1(image.repeat(1, ours, 1, 1)), old.conv1(image.repeat(1, theirs, 1, 1)), rtol=1e-5, atol=1e-6
    )


def test_three_dimensional_filters_are_shared_alike() -> None:
    filters = torch.randn(2, 3, 3, 3, 3, generator=torch.Generator().manual_seed(3))
    shared = shared_among_channels(filters, 5)
    assert shared.shape == (2, 5, 3, 3, 3)
    torch.testing.assert_close(shared.sum(1), filters.sum(1))
    assert torch.equal(shared[:, 0], shared[:, 4])


def test_weights_that_are_not_finite_are_refused() -> None:
    weights = given()
    weights["conv1.bias"][1] = float("nan")
    with pytest.raises(CheckpointError, match=r"conv1\.bias are not finite"):
        matched(weights, Net())
