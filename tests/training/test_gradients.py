"""The gradient norms that are logged, against those of torch, through stops and steps that are left out."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from hilum.case import Batch
from hilum.data.loader import Batches
from hilum.optim.schedules import ConstantConfig
from hilum.pipeline.session import rebatched
from hilum.runtime import Runtime
from hilum.training.gradients import added, layer_norms
from hilum.training.interrupt import Interrupted
from hilum.training.settings import TrainConfig
from hilum.training.trainer import EpochResult, Trainer

MakeBatches = Callable[..., Batches]


def model() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Sequential(nn.Linear(4, 1))).double()


def trainer(runtime: Runtime, **settings: Any) -> Trainer:
    network = model()
    return Trainer(
        runtime,
        network,
        loss=nn.MSELoss(),
        optimizer=torch.optim.SGD(network.parameters(), lr=0.01),
        schedule=ConstantConfig(),
        settings=TrainConfig(epochs=2, **settings),
    )


def unchanged(batch: Batch) -> Batch:
    return batch


def run(training: Trainer, batches: Batches, *, stop_at: int | None = None) -> list[EpochResult]:
    def after_step(loss: float, waiting: float) -> None:
        if training.position.step == stop_at:
            raise Interrupted(15)

    return list(training.epochs(batches, augment=unchanged, after_step=after_step))


def test_norms_are_those_of_each_layers_weights_and_bias_together() -> None:
    network = model()
    network(torch.ones(2, 3, dtype=torch.float64)).square().sum().backward()
    first, last = network.get_submodule("0"), network.get_submodule("2.0")
    expected = {}
    for name, layer in (("0", first), ("2.0", last)):
        gradients = [parameter.grad.flatten() for parameter in layer.parameters() if parameter.grad is not None]
        expected[name] = torch.cat(gradients).norm().item()
    assert layer_norms(network) == pytest.approx(expected)
    first.requires_grad_(False)
    first.zero_grad()
    assert list(layer_norms(network)) == ["2.0"]


def test_a_step_of_infinite_gradients_adds_nothing() -> None:
    totals = added({"a": 1.0}, {"a": math.inf, "b": 2.0}, weight=3)
    assert totals == {"a": 1.0, "b": 6.0}


def test_the_epoch_shows_the_mean_over_its_steps(runtime: Runtime, make_batches: MakeBatches) -> None:
    batches = make_batches(6, 2)
    seen: list[dict[str, float]] = []
    training = trainer(runtime, log_gradients=True, clip_norm=1e-6)

    def after_step(loss: float, waiting: float) -> None:
        seen.append(layer_norms(training.model))

    first = next(iter(training.epochs(batches, augment=unchanged, after_step=after_step)))
    # The gradients that are left after the step were shortened by one factor; their ratio tells that of those before.
    shown = first.record["gradients"]
    assert list(shown) == ["0", "2.0"]
    assert min(shown.values()) > 1e-4 > max(max(norms.values()) for norms in seen)


def test_a_stop_within_an_epoch_changes_nothing(runtime: Runtime, make_batches: MakeBatches) -> None:
    batches = make_batches(8, 2)
    whole = run(trainer(runtime, log_gradients=True), batches)
    stopped, resumed = trainer(runtime, log_gradients=True), trainer(runtime, log_gradients=True)
    with pytest.raises(Interrupted):
        run(stopped, batches, stop_at=3)
    resumed.restore(copy.deepcopy(stopped.tensors()), json.loads(json.dumps(stopped.facts())))
    assert [result.gradients for result in run(resumed, batches)] == [result.gradients for result in whole]


def test_nothing_is_written_unless_asked_for(runtime: Runtime, make_batches: MakeBatches) -> None:
    assert all("gradients" not in result.record for result in run(trainer(runtime), make_batches(4, 2)))


def test_smaller_batches_keep_the_mean() -> None:
    position = {"batch": 4, "loss_sum": 2.0, "skipped": 0, "gradients": {"a": 6.0}}
    assert rebatched(position, 4, 2)["gradients"] == {"a": 12.0}
