"""Optimizers are torch's, with weight decay on matrices and kernels only."""

import pytest
import torch
from torch import nn

from hilum.optim.optimizers import (
    AdagradConfig,
    AdamConfig,
    AdamWConfig,
    OptimizerConfig,
    RMSpropConfig,
    SGDConfig,
)
from hilum.registry import kinds, parse


def model() -> nn.Sequential:
    """No bias before the batch norm: its gradient would be rounding alone, which Adam makes steps of."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))


def trained(network: nn.Module, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    images = torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    for _ in range(4):
        optimizer.zero_grad()
        network(images).square().sum().backward()
        optimizer.step()
    return [parameter.detach().clone() for parameter in network.parameters()]


def test_decay_is_for_matrices_and_kernels() -> None:
    network = model()
    decayed, plain = AdamWConfig(weight_decay=0.3).build(network).param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.3, 0.0)
    assert {tuple(p.shape) for p in decayed["params"]} == {(2, 1, 3, 3), (3, 8)}
    assert {tuple(p.shape) for p in plain["params"]} == {(2,), (3,)}


def test_frozen_parameters_are_left_out() -> None:
    network = model()
    network[0].requires_grad_(False)
    groups = SGDConfig().build(network).param_groups
    assert sum(len(group["params"]) for group in groups) == 4


@pytest.mark.parametrize(
    ("config", "theirs"),
    [
        (SGDConfig(lr=0.01), lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True)),
        (SGDConfig(lr=0.01, momentum=0.0), lambda p: torch.optim.SGD(p, lr=0.01)),
        (AdamConfig(lr=0.01), lambda p: torch.optim.Adam(p, lr=0.01)),
        (AdamWConfig(lr=0.01, weight_decay=0.0), lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.0)),
        (RMSpropConfig(lr=0.01, decay=0.9), lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9)),
        (
            RMSpropConfig(lr=0.01, momentum=0.5, centered=True),
            lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
        ),
        (AdagradConfig(lr=0.01), lambda p: torch.optim.Adagrad(p, lr=0.01)),
    ],
)
def test_steps_are_torchs(config: OptimizerConfig, theirs: object) -> None:
    assert callable(theirs)
    one, other = model(), model()
    for ours, expected in zip(trained(one, config.build(one)), trained(other, theirs(other.parameters())), strict=True):
        assert torch.allclose(ours, expected, atol=1e-7)


@pytest.mark.parametrize("kind", kinds("optimizers"))
def test_weight_decay_shrinks_kernels_alone(kind: str) -> None:
    config = parse("optimizers", {"kind": kind, "lr": 0.1, "weight_decay": 0.5})
    assert isinstance(config, OptimizerConfig)
    network = model()
    optimizer = config.build(network)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
        parameter.data.fill_(2.0)
    optimizer.step()
    assert all(
        (parameter < 2).all() if parameter.ndim > 1 else (parameter == 2).all() for parameter in network.parameters()
    )


@pytest.mark.parametrize("kind", kinds("optimizers"))
def test_the_l1_penalty_is_that_of_the_loss(kind: str) -> None:
    """One network with the penalty in its optimizer, the other with it in its loss, over matrices and kernels."""
    with_l1, without = (parse("optimizers", {"kind": kind, "lr": 0.01, "l1": l1}) for l1 in (0.3, 0.0))
    assert isinstance(with_l1, OptimizerConfig)
    assert isinstance(without, OptimizerConfig)
    one, other = model(), model()
    images = torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    ours, theirs = with_l1.build(one), without.build(other)
    for _ in range(3):
        for network, optimizer, l1 in ((one, ours, 0.0), (other, theirs, 0.3)):
            optimizer.zero_grad()
            penalty = sum(parameter.abs().sum() for parameter in network.parameters() if parameter.ndim > 1)
            (network(images).square().sum() + l1 * penalty).backward()
            optimizer.step()
    for left, right in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(left, right)


def test_the_l1_penalty_makes_weights_small() -> None:
    network = model()
    optimizer = SGDConfig(lr=0.01, momentum=0.0, l1=1.0).build(network)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for parameter, was in zip(network.parameters(), before, strict=True):
        expected = was - 0.01 * was.sign() if was.ndim > 1 else was
        torch.testing.assert_close(parameter.detach(), expected)


def rates(config: OptimizerConfig, network: nn.Module) -> dict[str, float]:
    """The learning rate of each parameter by name."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups = config.build(network).param_groups
    return {names[id(parameter)]: group["lr"] for group in groups for parameter in group["params"]}


def deep() -> nn.Sequential:
    """Four stages, 0 (with its norm), 3, 4 and 5."""
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3), nn.Linear(3, 3), nn.Linear(3, 2)
    )


def test_stages_learn_at_multiples_of_the_rate() -> None:
    found = rates(SGDConfig(lr=0.5, lr_scale={"0": 0.1, "4": 3.0}), deep())
    assert {name.partition(".")[0]: rate for name, rate in found.items()} == {
        "0": 0.05,
        "1": 0.05,
        "3": 0.5,
        "4": 1.5,
        "5": 0.5,
    }


def test_decay_by_layer_leaves_the_last_one_at_the_rate() -> None:
    found = rates(AdamWConfig(lr=1.0, lr_decay=0.5, lr_scale={"3": 0.7}), deep())
    assert {name.partition(".")[0]: rate for name, rate in found.items()} == {
        "0": 0.125,
        "1": 0.125,
        "3": 0.7,
        "4": 0.5,
        "5": 1.0,
    }
    half = deep()
    half[5].requires_grad_(False)
    assert rates(AdamWConfig(lr=1.0, lr_decay=0.5), half)["4.weight"] == 1.0  # the last one that is trained


def test_a_step_is_that_of_the_same_optimizer_with_the_scaled_rate() -> None:
    """Plain descent: w - lr * scale * gradient, for each stage its own."""
    torch.manual_seed(0)
    network = deep()
    before = [parameter.detach().clone() for parameter in network.parameters()]
    optimizer = SGDConfig(lr=0.2, momentum=0.0, lr_scale={"0": 0.5}).build(network)
    network(torch.randn(4, 1, 4, 4)).square().sum().backward()
    optimizer.step()
    for (name, after), old in zip(network.named_parameters(), before, strict=True):
        assert after.grad is not None
        rate = 0.1 if name.startswith(("0.", "1.")) else 0.2
        torch.testing.assert_close(after.detach(), old - rate * after.grad)


def test_rates_that_cannot_apply_are_told() -> None:
    network = deep()
    network[0].requires_grad_(False)
    network[1].requires_grad_(False)
    config = AdamConfig(lr_scale={"0": 0.1, "33": 0.1, "4": 1.0})
    assert list(config.stage_faults(network)) == [
        (("lr_scale", "0"), "stage '0' is frozen (train.freeze): it has no learning rate, remove it"),
        (
            ("lr_scale", "33"),
            "received '33', which is no stage of the network, expected one of 0, 3, 4, 5; did you mean '3'?",
        ),
    ]
    ((where, message),) = AdamConfig(lr_decay=0.5).stage_faults(nn.Linear(2, 2))
    assert where == ("lr_decay",)
    assert "changes nothing" in message
    assert not list(AdamConfig(lr_decay=0.5).stage_faults(deep()))
