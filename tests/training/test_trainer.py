"""The loop against closed forms and plain loops; stopped anywhere, it goes on to the same bits."""

import copy
import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hilum.case import Batch
from hilum.data.loader import Batches
from hilum.errors import CheckpointError, TrainingError
from hilum.optim.schedules import ConstantConfig, CosineConfig, ScheduleConfig
from hilum.random import torch_seed
from hilum.runtime import Runtime
from hilum.training import checkpoint
from hilum.training.checkpoint import weights_sha256
from hilum.training.interrupt import Interrupted
from hilum.training.settings import TrainConfig
from hilum.training.spoilt import SpoiltError
from hilum.training.trainer import EpochResult, Trainer

MakeBatches = Callable[..., Batches]


def linear() -> nn.Module:
    torch.manual_seed(1)
    return nn.Linear(3, 1).double()


def deep() -> nn.Module:
    """Batch norm, dropout and enough layers for an optimizer to have a state."""
    torch.manual_seed(1)
    layers = (nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))
    return nn.Sequential(*layers).double()


def trainer(
    runtime: Runtime,
    model: nn.Module,
    *,
    optimizer: torch.optim.Optimizer | None = None,
    schedule: ScheduleConfig | None = None,
    loss: nn.Module | None = None,
    **settings: Any,
) -> Trainer:
    return Trainer(
        runtime,
        model,
        loss=loss or nn.MSELoss(),
        optimizer=optimizer or torch.optim.SGD(model.parameters(), lr=0.01),
        schedule=schedule or ConstantConfig(),
        settings=TrainConfig(**settings),
    )


def unchanged(batch: Batch) -> Batch:
    return batch


def nothing(loss: float, waiting: float) -> None:
    pass


def run(trainer: Trainer, batches: Batches, after_step: Callable[[float, float], None] = nothing) -> list[EpochResult]:
    return list(trainer.epochs(batches, augment=unchanged, after_step=after_step))


def test_waiting_is_what_passes_until_a_batch_is_there(
    runtime: Runtime, make_batches: MakeBatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("hilum.training.trainer.perf_counter", lambda: clock[0])
    alone, batches = trainer(runtime, linear(), epochs=1), make_batches(8, 2)
    next_group = alone._next_group

    def slow(iterator: Iterator[Batch]) -> list[Batch] | None:
        clock[0] += 1
        return next_group(iterator)

    def augment(batch: Batch) -> Batch:
        clock[0] += 3
        return batch

    def after_step(loss: float, waiting: float) -> None:
        clock[0] += 6

    monkeypatch.setattr(alone, "_next_group", slow)
    (result,) = alone.epochs(batches, augment=augment, after_step=after_step)
    assert result.seconds == 4 * (1 + 3) + 3 * 6  # what follows the last step is no part of it
    assert result.waiting == pytest.approx(4 * 1 / result.seconds, abs=1e-4)


def samples(batches: Batches, epoch: int = 0) -> tuple[Tensor, Tensor]:
    found = list(batches.epoch(epoch))
    return torch.cat([batch.images for batch in found]), torch.cat([batch.targets for batch in found])


def parameters(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


# ----------------------------------------------------------------------------------------- closed forms
def test_one_step_is_the_gradient_of_the_mean_loss(runtime: Runtime, make_batches: MakeBatches) -> None:
    batches, model = make_batches(8, 8), linear()
    x, y = samples(batches)
    x1 = torch.cat([x, torch.ones(8, 1, dtype=torch.float64)], dim=1)
    before = parameters(model)
    error = x1 @ before - y[:, 0]
    (result,) = run(trainer(runtime, model, epochs=1), batches)
    assert result.train_loss == pytest.approx(float((error**2).mean()), rel=1e-12)
    assert torch.allclose(parameters(model), before - 0.01 * 2 * x1.T @ error / 8, rtol=1e-12)


@pytest.mark.parametrize("accumulate", [2, 4, 8])
def test_accumulation_is_a_larger_batch(runtime: Runtime, make_batches: MakeBatches, accumulate: int) -> None:
    whole, parts = linear(), linear()
    adam = [torch.optim.AdamW(model.parameters(), lr=0.01) for model in (whole, parts)]
    big = run(trainer(runtime, whole, epochs=3, optimizer=adam[0]), make_batches(16, 16))
    small = trainer(runtime, parts, epochs=3, optimizer=adam[1], accumulate=accumulate)
    results = run(small, make_batches(16, 16 // accumulate))
    assert torch.allclose(parameters(whole), parameters(parts), rtol=1e-10, atol=1e-12)
    assert [r.step for r in results] == [r.step for r in big] == [1, 2, 3]
    assert [r.train_loss for r in results] == pytest.approx([r.train_loss for r in big], rel=1e-10)


def test_the_rest_of_an_epoch_is_a_group_of_its_own(runtime: Runtime, make_batches: MakeBatches) -> None:
    batches, model, plain = make_batches(10, 2), linear(), linear()
    run(trainer(runtime, model, epochs=1, accumulate=3), batches)
    found = list(batches.epoch(0))
    for group in (found[:3], found[3:]):
        plain.zero_grad()
        torch.stack([nn.functional.mse_loss(plain(b.images), b.targets) for b in group]).mean().backward()
        with torch.no_grad():
            for parameter in plain.parameters():
                assert parameter.grad is not None
                parameter.sub_(0.01 * parameter.grad)
    assert torch.allclose(parameters(model), parameters(plain), rtol=1e-12)


@pytest.mark.parametrize("clip", [0.5, 1e6])
def test_a_long_gradient_is_shortened_and_a_short_one_kept(
    runtime: Runtime, make_batches: MakeBatches, clip: float
) -> None:
    batches, model, free = make_batches(4, 4), linear(), linear()
    before = parameters(model)
    run(trainer(runtime, model, epochs=1, clip_norm=clip), batches)
    run(trainer(runtime, free, epochs=1), batches)
    step, full = parameters(model) - before, parameters(free) - before
    assert float(full.norm()) > 0.01 * 0.5
    wanted = full * min(1.0, 0.01 * clip / float(full.norm()))
    assert torch.allclose(step, wanted, rtol=1e-5)


def test_the_average_follows_a_plain_loop(runtime: Runtime, make_batches: MakeBatches) -> None:
    model = deep()
    averaging = trainer(runtime, model, epochs=2, ema=0.6)
    expected = parameters(model)

    def follow(loss: float, waiting: float) -> None:
        nonlocal expected
        step = averaging.position.step
        decay = min(0.6, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * parameters(model)

    run(averaging, make_batches(20, 2), follow)
    assert averaging.scored_model is not model
    assert torch.allclose(parameters(averaging.scored_model), expected, rtol=1e-12)
    assert not torch.allclose(expected, parameters(model))
    for mine, theirs in zip(averaging.scored_model.buffers(), model.buffers(), strict=True):
        assert torch.equal(mine, theirs)
    assert not any(module.training for module in averaging.scored_model.modules())


def test_without_an_average_the_model_itself_is_scored(runtime: Runtime) -> None:
    model = linear()
    assert trainer(runtime, model).scored_model is model


def test_the_schedule_sets_the_rate_of_every_group(runtime: Runtime, make_batches: MakeBatches) -> None:
    model = deep()
    first, *others = model.parameters()
    optimizer = torch.optim.SGD([{"params": [first], "lr": 0.1}, {"params": others, "lr": 0.02}])
    schedule = CosineConfig(warmup=2)
    used: list[tuple[float, ...]] = []
    results = run(
        trainer(runtime, model, optimizer=optimizer, schedule=schedule, epochs=3, accumulate=2),
        make_batches(12, 2),
        lambda loss, waiting: used.append(tuple(group["lr"] for group in optimizer.param_groups)),
    )
    factors = [schedule.factor(step, 9) for step in range(9)]
    assert used == [(0.1 * factor, 0.02 * factor) for factor in factors]
    assert [result.lr for result in results] == [used[2][0], used[5][0], used[8][0]]


def test_a_schedule_ends_with_the_run_also_where_batches_changed_on_the_way(
    runtime: Runtime, make_batches: MakeBatches
) -> None:
    """Two epochs of 3 steps and, resumed with batches of half the size, one of 6: a run of 12 steps, not of 18."""
    schedule = CosineConfig()
    begun = trainer(runtime, deep(), schedule=schedule, epochs=2)
    run(begun, make_batches(12, 4))
    resumed = trainer(runtime, deep(), schedule=schedule, epochs=3)
    resumed.restore(begun.tensors(), begun.facts())
    (result,) = run(resumed, make_batches(12, 2))
    assert result.step == 12
    assert result.lr == pytest.approx(0.01 * schedule.factor(11, 12))


def test_the_network_computes_in_bfloat16_and_keeps_weights_in_float32(make_batches: MakeBatches) -> None:
    seen: list[torch.dtype] = []

    class Watch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            output: Tensor = self.linear(x.float())
            seen.append(output.dtype)
            return output

    class Loss(nn.Module):
        def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
            return ((logits.float() - targets.float()) ** 2).mean()

    model = Watch()
    run(
        trainer(Runtime(torch.device("cpu"), "bfloat16", 0), model, loss=Loss(), epochs=1),
        make_batches(4, 2),
    )
    assert set(seen) == {torch.bfloat16}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


# ------------------------------------------------------------------------------------------------- faults
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_loss_that_is_nan_stops_with_its_cases_and_leaves_the_weights(
    runtime: Runtime, make_batches: MakeBatches, accumulate: int
) -> None:
    batches = make_batches(8, 2, spoilt=frozenset({3}))
    order = [batch.ids for batch in batches.epoch(0)]
    bad = next(step for step, ids in enumerate(order) if "case3" in ids)
    model, clean = linear(), linear()
    guarded = trainer(runtime, model, epochs=1, accumulate=accumulate, ema=0.9)
    with pytest.raises(
        TrainingError, match=rf"loss became nan in epoch 0, step {bad // accumulate}, .*case3"
    ) as caught:
        run(guarded, batches)
    assert caught.value.exit_code == 4
    assert guarded.position.step == bad // accumulate
    assert torch.isfinite(parameters(model)).all()
    assert torch.isfinite(parameters(guarded.scored_model)).all()
    reference = trainer(runtime, clean, epochs=1, accumulate=accumulate)
    with pytest.raises(Interrupted):
        run(reference, make_batches(8, 2), stop_at(reference, bad // accumulate)) if bad // accumulate else stop(2)
    assert torch.equal(parameters(model), parameters(clean))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_a_gradient_that_is_not_finite_stops_before_it_reaches_the_weights(
    runtime: Runtime, make_batches: MakeBatches
) -> None:
    class Edge(nn.Module):
        def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
            return (logits * 0).abs().sqrt().sum()  # 0, with an infinite slope

    model = linear()
    before = parameters(model)
    with pytest.raises(TrainingError, match="the gradient became nan in epoch 0, step 0"):
        run(trainer(runtime, model, loss=Edge(), epochs=1), make_batches(4, 2))
    assert torch.equal(parameters(model), before)


def spoilt_steps(batches: Batches, epochs: int, case: str) -> list[int]:
    order = [batch.ids for epoch in range(epochs) for batch in batches.epoch(epoch)]
    return [step for step, ids in enumerate(order) if case in ids]


def test_a_spoilt_step_that_is_skipped_leaves_no_trace_but_its_place(
    runtime: Runtime, make_batches: MakeBatches
) -> None:
    batches = make_batches(8, 2, spoilt=frozenset({3}))
    model, plain = deep(), deep()
    skipping = trainer(runtime, model, epochs=2, on_nan="skip", ema=0.9, schedule=CosineConfig())
    told: list[tuple[int, tuple[str, ...]]] = []

    def note(loss: float, waiting: float) -> None:
        if skipping.spoilt is not None:
            told.append((skipping.spoilt.step, skipping.spoilt.cases))

    results = run(skipping, batches, note)
    bad = spoilt_steps(batches, 2, "case3")
    assert [step for step, _ in told] == bad
    assert all("case3" in cases for _, cases in told)
    assert [(result.step, result.skipped) for result in results] == [(4, 1), (8, 1)]
    losses: list[list[float]] = [[], []]
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.01)
    plain.train()
    for step, batch in enumerate(batch for epoch in range(2) for batch in batches.epoch(epoch)):
        if step in bad:
            continue
        torch.manual_seed(torch_seed(runtime.seed, step, 0, "dropout"))
        optimizer.param_groups[0]["lr"] = 0.01 * CosineConfig().factor(step, 8)
        loss = nn.functional.mse_loss(plain(batch.images), batch.targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses[batch.epoch].append(float(loss.detach()))
    assert weights_sha256(model.state_dict()) == weights_sha256(plain.state_dict())  # statistics of batch norm, too
    assert [result.train_loss for result in results] == [sum(each) / len(each) for each in losses]
    assert torch.isfinite(parameters(skipping.scored_model)).all()


def test_too_many_skips_in_a_row_stop(runtime: Runtime, make_batches: MakeBatches) -> None:
    batches = make_batches(4, 2, spoilt=frozenset(range(4)))
    skipping = trainer(runtime, linear(), epochs=9, on_nan="skip", max_skips=3)
    with pytest.raises(SpoiltError, match=r"epoch 1, step 3, .* after 3 steps in a row .*train\.max_skips") as caught:
        run(skipping, batches)
    assert caught.value.exit_code == 4
    assert caught.value.spoilt.facts["value"] == "nan"


# ------------------------------------------------------------------------------------------------- resume
@pytest.mark.parametrize("step", [1, 5, 6, 7])  # the last one of them is the last of the run, in the middle of an epoch
def test_a_time_budget_ends_within_an_epoch_also_after_a_stop(
    runtime: Runtime, make_batches: MakeBatches, step: int
) -> None:
    def limited() -> Trainer:
        made = trainer(runtime, deep(), epochs=None, minutes=1, accumulate=2, schedule=CosineConfig(), on_nan="skip")
        made.step_limit = 7
        return made

    batches = make_batches(11, 2, spoilt=frozenset({4}))  # 3 updates an epoch
    whole, stopped, resumed = limited(), limited(), limited()
    expected = run(whole, batches)
    assert [(result.epoch, result.step) for result in expected] == [(0, 3), (1, 6), (2, 7)]
    results = stopped.epochs(batches, augment=unchanged, after_step=stop_at(stopped, step))
    before = [next(results) for _ in range((step - 1) // 3)]
    with pytest.raises(Interrupted):
        next(results)
    resumed.restore(copy.deepcopy(stopped.tensors()), stopped.facts())
    after = run(resumed, batches)
    assert resumed.finished
    untimed = ("epoch", "step", "train_loss", "lr", "skipped")
    shown = [[getattr(result, name) for name in untimed] for result in (*before, *after)]
    assert shown == [[getattr(result, name) for name in untimed] for result in expected]
    assert weights_sha256(resumed.model.state_dict()) == weights_sha256(whole.model.state_dict())


def stop(signum: int) -> None:
    raise Interrupted(signum)


def stop_at(trainer: Trainer, step: int) -> Callable[[float, float], None]:
    return lambda loss, waiting: stop(15) if trainer.position.step == step else None


def draw() -> None:
    torch.rand(1)


def careful(runtime: Runtime, model: nn.Module) -> Trainer:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    settings: dict[str, Any] = {"epochs": 3, "accumulate": 2, "clip_norm": 1.0, "ema": 0.9}
    return trainer(runtime, model, optimizer=optimizer, schedule=CosineConfig(warmup=3), **settings)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 7, 9])  # 3 updates an epoch: the first, within, at the end of epochs
def test_a_run_stopped_anywhere_goes_on_to_the_same_bits(
    runtime: Runtime, make_batches: MakeBatches, tmp_path: Path, step: int
) -> None:
    batches = make_batches(11, 2)
    whole = careful(runtime, deep())
    expected = run(whole, batches)

    stopped = careful(runtime, deep())
    results = stopped.epochs(batches, augment=unchanged, after_step=stop_at(stopped, step))
    before = [next(results) for _ in range((step - 1) // 3)]
    with pytest.raises(Interrupted):
        next(results)
    checkpoint.save(tmp_path / "last.pt", tensors=stopped.tensors(), facts={"position": stopped.facts()})
    torch.manual_seed(999)

    resumed = careful(runtime, deep())
    tensors, facts = checkpoint.load(tmp_path / "last.pt")
    resumed.restore(tensors, facts["position"])
    # Whatever else draws random numbers between the steps does not matter.
    after = run(resumed, batches, lambda loss, waiting: draw())

    shown = [(r.epoch, r.step, r.train_loss, r.lr) for r in before + after]
    assert shown == [(r.epoch, r.step, r.train_loss, r.lr) for r in expected]
    assert weights_sha256(resumed.model.state_dict()) == weights_sha256(whole.model.state_dict())
    assert weights_sha256(resumed.scored_model.state_dict()) == weights_sha256(whole.scored_model.state_dict())


def test_a_saved_state_does_not_move_with_the_training(
    runtime: Runtime, make_batches: MakeBatches, tmp_path: Path
) -> None:
    going = careful(runtime, deep())
    results = going.epochs(make_batches(8, 2), augment=unchanged, after_step=nothing)
    next(results)
    start = {"batch": 0, "loss_sum": 0.0, "seconds": 0.0, "waited": 0.0, "skipped": 0, "skips_in_row": 0}
    assert going.facts() == {"epoch": 1, "step": 2, "gradients": {}, **start}
    checkpoint.save(tmp_path / "last.pt", tensors=going.tensors(), facts=going.facts())
    at_save = weights_sha256(going.model.state_dict())
    next(results)
    tensors, _ = checkpoint.load(tmp_path / "last.pt")
    assert weights_sha256(tensors["model"]) == at_save != weights_sha256(going.model.state_dict())


def saved(runtime: Runtime, make_batches: MakeBatches) -> tuple[dict[str, Any], dict[str, Any]]:
    done = careful(runtime, deep())
    run(done, make_batches(4, 2))
    return copy.deepcopy(done.tensors()), done.facts()


def test_the_weights_of_another_network_are_refused(runtime: Runtime, make_batches: MakeBatches) -> None:
    with pytest.raises(CheckpointError, match="another network"):
        trainer(runtime, linear()).restore(*saved(runtime, make_batches))


def test_the_state_of_another_optimizer_is_refused(runtime: Runtime, make_batches: MakeBatches) -> None:
    tensors, position = saved(runtime, make_batches)
    with pytest.raises(CheckpointError, match="another optimizer"):
        trainer(runtime, deep()).restore(tensors, position)
    model = deep()
    first, *others = model.parameters()
    grouped = torch.optim.AdamW([{"params": [first]}, {"params": others}])
    with pytest.raises(CheckpointError, match="another optimizer"):
        trainer(runtime, model, optimizer=grouped).restore(tensors, position)


def test_the_optimizer_keeps_what_a_resume_was_told(runtime: Runtime, make_batches: MakeBatches) -> None:
    tensors, position = saved(runtime, make_batches)
    model = deep()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.5, weight_decay=0.3, betas=(0.5, 0.6))
    resumed = trainer(runtime, model, optimizer=optimizer, epochs=4)
    resumed.restore(tensors, position)
    run(resumed, make_batches(4, 2))
    (group,) = optimizer.param_groups
    assert (group["lr"], group["weight_decay"], group["betas"]) == (0.5, 0.3, (0.5, 0.6))
    moments = [state["exp_avg"] for state in optimizer.state.values()]
    assert len(moments) == len(list(model.parameters()))
    assert all(bool(moment.abs().sum() > 0) for moment in moments)


def test_an_average_switched_on_later_starts_from_the_weights(runtime: Runtime, make_batches: MakeBatches) -> None:
    plain = trainer(runtime, linear(), epochs=1)
    run(plain, make_batches(4, 2))
    averaging = trainer(runtime, linear(), epochs=2, ema=0.9)
    averaging.restore(plain.tensors(), plain.facts())
    assert torch.equal(parameters(averaging.scored_model), parameters(plain.model))


def test_a_finished_run_yields_nothing_more(runtime: Runtime, make_batches: MakeBatches) -> None:
    done = trainer(runtime, linear(), epochs=1)
    assert len(run(done, make_batches(4, 2))) == 1
    assert run(done, make_batches(4, 2)) == []


def test_the_share_of_waiting_is_a_share(runtime: Runtime, make_batches: MakeBatches) -> None:
    told: list[tuple[float, float]] = []
    (result,) = run(
        trainer(runtime, linear(), epochs=1), make_batches(8, 2), lambda loss, waiting: told.append((loss, waiting))
    )
    assert len(told) == 4
    assert all(0 <= waiting <= 1 for _, waiting in told)
    assert math.isclose(result.train_loss, sum(loss for loss, _ in told) / 4)
    assert result.record.keys() == {"epoch", "step", "train_loss", "lr", "seconds", "waiting"}
