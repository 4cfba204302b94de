"""The optimization loop: takes batches, yields the result of each epoch; the caller decides what to do with it."""

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from hilum.case import Batch
from hilum.data.loader import Batches
from hilum.errors import CheckpointError
from hilum.layers.compiled import Compiled
from hilum.losses.base import counted_over
from hilum.optim.schedules import ScheduleConfig
from hilum.random import torch_seed
from hilum.runtime import Runtime
from hilum.training.average import WeightAverage
from hilum.training.freezing import frozen_patterns, still_norms
from hilum.training.gradients import added, layer_norms
from hilum.training.settings import TrainConfig
from hilum.training.spoilt import Spoilt, SpoiltError


@dataclass(frozen=True)
class EpochResult:
    """What one epoch of training gave."""

    epoch: int
    step: int
    train_loss: float
    lr: float
    seconds: float
    waiting: float
    skipped: int = 0
    gradients: dict[str, float] = field(default_factory=dict)

    @property
    def record(self) -> dict[str, Any]:
        """The result as a line of the log; skipped batches and gradients are named where there are any."""
        return {name: value for name, value in asdict(self).items() if name not in ("skipped", "gradients") or value}


@dataclass
class Position:
    """Where a run stands: all that a resume needs beside weights and optimizer."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    waited: float = 0.0
    skipped: int = 0
    """Batches of this epoch that were left out because they were spoilt."""
    skips_in_row: int = 0
    gradients: dict[str, float] = field(default_factory=dict)
    """Sums over this epoch's steps of each layer's gradient norm, where they are logged."""


class Trainer:
    """Optimizes a model. `epochs` yields results; the state can be saved between any two steps."""

    def __init__(
        self,
        runtime: Runtime,
        model: nn.Module,
        *,
        loss: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: ScheduleConfig,
        settings: TrainConfig,
    ) -> None:
        self.runtime = runtime
        self.model = model
        self.parallel = runtime.parallel(model)
        self.forward: Callable[[Tensor], Any] = self.parallel
        if runtime.compile:
            self.forward = Compiled(self.parallel, setting="runtime.compile")
        self.loss = loss.to(runtime.device)
        self.optimizer = optimizer
        self.schedule = schedule
        self.settings = settings
        self.scaler = runtime.scaler()
        self.average = WeightAverage(model, settings.ema) if settings.ema is not None else None
        self.position = Position()
        self.lr_scale = 1.0
        """What the learning rate is multiplied by beside the schedule, as validations decide."""
        self.step_limit: int | None = None
        """Where a time budget ends; the last epoch ends with it."""
        self.spoilt: Spoilt | None = None
        """What was wrong with the last step, where it was skipped."""
        self._gradients: dict[str, float] = {}
        self._still = still_norms(model, frozen_patterns(model, settings.freeze, settings.freeze_to))
        self._highest_lr = [float(group["lr"]) for group in optimizer.param_groups]

    @property
    def scored_model(self) -> nn.Module:
        """The model that is validated and used: the average of the weights where there is one."""
        return self.model if self.average is None else self.average.model

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        at, epochs = self.position, self.settings.epochs
        if self.step_limit is not None:
            return at.step >= self.step_limit and not at.batch
        return epochs is not None and at.epoch >= epochs

    def total_steps(self, batches: Batches) -> int:
        """Changes of the weights over the whole run: those so far, however large the batches were, and those to come.

        A time budget has to be converted before.
        """
        if self.step_limit is not None:
            return self.step_limit
        at, settings, batches_left = self.position, self.settings, batches.steps_per_epoch - self.position.batch
        assert settings.epochs is not None
        whole_epochs = settings.epochs - at.epoch - 1
        return at.step + settings.updates(batches_left) + whole_epochs * settings.updates(batches.steps_per_epoch)

    def epochs(
        self, batches: Batches, *, augment: Callable[[Batch], Batch], after_step: Callable[[float, float], None]
    ) -> Iterator[EpochResult]:
        """Results of the epochs that are left. `after_step(loss, waiting_share)` follows each step and may raise.

        Raises SpoiltError where the loss or the gradient is NaN or infinite; the weights are those before that step.
        """
        while not self.finished:
            yield self._epoch(batches, augment, after_step)

    def _epoch(
        self, batches: Batches, augment: Callable[[Batch], Batch], after_step: Callable[[float, float], None]
    ) -> EpochResult:
        self.model.train()
        for norm in self._still:
            norm.eval()
        at, total = self.position, self.total_steps(batches)
        with closing(batches.epoch(at.epoch, first_step=at.batch)) as iterator:
            clock = perf_counter()
            while at.step != self.step_limit:
                asked = perf_counter()
                if (group := self._next_group(iterator)) is None:
                    break
                waited = perf_counter() - asked
                lr_factor = self.schedule.factor(at.step, total) * self.lr_scale
                loss = self._step([augment(self._to_device(batch)) for batch in group], lr_factor)
                now = perf_counter()
                self._advance(loss, len(group))
                at.seconds, at.waited, clock = at.seconds + now - clock, at.waited + waited, now
                after_step(loss, at.waited / at.seconds)
        self.runtime.share_buffers(self.scored_model)
        result = self._result()
        self.position = Position(epoch=at.epoch + 1, step=at.step, skips_in_row=at.skips_in_row)
        return result

    def _advance(self, loss: float, num_batches: int) -> None:
        """Move past a group of batches; those of a spoilt step count as seen, their loss does not."""
        at = self.position
        at.step, at.batch = at.step + 1, at.batch + num_batches
        if self.spoilt is None:
            at.loss_sum += loss * num_batches
            at.skips_in_row = 0
            at.gradients = added(at.gradients, self._gradients, weight=num_batches)
        else:
            at.skipped += num_batches
            at.skips_in_row += 1

    def _result(self) -> EpochResult:
        at = self.position
        counted = at.batch - at.skipped
        mean_loss = at.loss_sum / counted if counted else math.nan
        lr, waiting = self._lr, round(at.waited / at.seconds, 4)
        gradients = {name: total / counted for name, total in at.gradients.items()}
        return EpochResult(at.epoch, at.step, mean_loss, lr, round(at.seconds, 3), waiting, at.skipped, gradients)

    @property
    def _lr(self) -> float:
        """The highest learning rate of all stages: that of the head, where others learn more slowly."""
        return max(float(group["lr"]) for group in self.optimizer.param_groups)

    def _next_group(self, iterator: Iterator[Batch]) -> list[Batch] | None:
        group = [batch for _, batch in zip(range(self.settings.accumulate), iterator, strict=False)]
        return group or None

    def _to_device(self, batch: Batch) -> Batch:
        device = self.runtime.device
        images, targets = batch.images.to(device, non_blocking=True), batch.targets.to(device, non_blocking=True)
        return Batch(batch.ids, batch.epoch, batch.indices, images, targets)

    def _step(self, group: list[Batch], lr_factor: float) -> float:
        """Change the weights once, by the mean gradient of a group of batches; gives their mean loss."""
        for highest, parameters in zip(self._highest_lr, self.optimizer.param_groups, strict=True):
            parameters["lr"] = highest * lr_factor
        # Dropout draws from torch's generator: seeding it by step makes a resumed run draw the same masks.
        torch.manual_seed(torch_seed(self.runtime.seed, self.position.step, self.runtime.rank, "dropout"))
        self.optimizer.zero_grad(set_to_none=True)
        buffers = [buffer.clone() for buffer in self.model.buffers()] if self.settings.on_nan == "skip" else []
        mean_loss = self._backward(group)
        self.spoilt = None if math.isfinite(mean_loss) else self._spoilt("loss", mean_loss, group)
        if self.spoilt is None:
            self.scaler.unscale_(self.optimizer)
            self._gradients = layer_norms(self.model) if self.settings.log_gradients else {}
            norm = self._shorten_gradient()
            # A float16 scaler leaves out a step of too large a gradient itself, and lowers its scale.
            if not self.scaler.is_enabled() and not math.isfinite(norm):
                self.spoilt = self._spoilt("gradient", norm, group)
        if self.spoilt is not None:
            self._skip_or_stop(self.spoilt, buffers)
            return math.nan
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update(self.model, self.position.step + 1)
        return mean_loss

    def _backward(self, group: list[Batch]) -> float:
        """Add up the gradients of a group of batches; gives their mean loss over all ranks."""
        losses: list[Tensor] = []
        for number, batch in enumerate(group, start=1):
            with self.runtime.gradients(self.parallel, shared=number == len(group)):
                with self.runtime.autocast():
                    logits = self.forward(batch.images)
                with counted_over(self.runtime.sum, self.runtime.world):
                    loss = self.loss(logits, batch.targets)
                self.scaler.scale(loss / len(group)).backward()
            losses.append(loss.detach())
        return float(self.runtime.mean(torch.stack(losses).mean()))

    def _shorten_gradient(self) -> float:
        """Shorten a gradient that is too long; gives its length before."""
        parameters = [parameter for parameter in self.model.parameters() if parameter.grad is not None]
        norm = nn.utils.get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
        if self.settings.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(parameters, self.settings.clip_norm, norm)
        return float(norm)

    def _spoilt(self, what: str, value: float, group: list[Batch]) -> Spoilt:
        """What every rank knows of a spoilt step: all of them meet it together."""
        cases = self.runtime.gather([id_ for batch in group for id_ in batch.ids])
        return Spoilt(self.position.epoch, self.position.step, what, value, tuple(dict.fromkeys(cases)))

    def _skip_or_stop(self, spoilt: Spoilt, buffers: list[Tensor]) -> None:
        """Undo what a spoilt step did to the statistics, where it is to be skipped; else raise SpoiltError."""
        if self.settings.on_nan == "stop":
            raise SpoiltError(spoilt)
        most = self.settings.max_skips
        if self.position.skips_in_row >= most:
            raise SpoiltError(spoilt, f", after {most} steps in a row that were skipped (train.max_skips)")
        with torch.no_grad():
            for buffer, before in zip(self.model.buffers(), buffers, strict=True):
                buffer.copy_(before)
        self.optimizer.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, Any]:
        """Everything that has to be saved, as nested dicts of tensors and numbers."""
        averaged = {} if self.average is None else self.average.model.state_dict()
        return {
            "model": self.model.state_dict(),
            "average": averaged,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def facts(self) -> dict[str, Any]:
        """The position, as JSON."""
        return asdict(self.position)

    def restore(self, tensors: dict[str, Any], position: dict[str, Any]) -> None:
        """Continue from a saved state, with the optimizer's settings as they are now.

        Raises CheckpointError where the state belongs to another network or optimizer.
        """
        try:
            self.model.load_state_dict(tensors["model"])
            if self.average is not None:
                self.average.model.load_state_dict(tensors["average"] or tensors["model"])
        except RuntimeError as error:
            raise CheckpointError(f"the checkpoint holds the weights of another network: {error}") from error
        self._restore_optimizer(tensors["optimizer"])
        self.scaler.load_state_dict(tensors["scaler"])
        self.position = Position(**position)

    def _restore_optimizer(self, state: dict[str, Any]) -> None:
        groups = self.optimizer.param_groups
        # The learning rate is set at every step from what the schedule and the settings say.
        settings = [{key: group[key] for key in group.keys() - {"params", "lr"}} for group in groups]
        if [group.keys() - {"params", "lr"} for group in state["param_groups"]] != [given.keys() for given in settings]:
            raise CheckpointError("the checkpoint holds the state of another optimizer: resume with the one it had")
        try:
            self.optimizer.load_state_dict(state)
        except ValueError as error:
            raise CheckpointError(f"the checkpoint holds the state of another optimizer: {error}") from error
        for group, given in zip(self.optimizer.param_groups, settings, strict=True):
            group.update(given)  # torch puts the saved settings back, and would so ignore what resume was told
