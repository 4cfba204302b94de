"""The optimization loop: takes batches, yields the result of each epoch; the caller decides what to do with it."""

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Annotated, Any

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from hilum.case import Batch
from hilum.data.loader import Batches
from hilum.errors import CheckpointError, TrainingError
from hilum.optim.schedules import ScheduleConfig
from hilum.random import torch_seed
from hilum.runtime import Runtime
from hilum.settings import Settings
from hilum.training.average import WeightAverage


class TrainConfig(Settings):
    """How long and how carefully to optimize."""

    epochs: PositiveInt = 60
    """Passes over the training part."""
    steps_per_epoch: PositiveInt | None = None
    """Batches in an epoch; by default as many as show every case once."""
    clip_norm: PositiveFloat | None = None
    """Longest gradient (L2 norm over all weights); longer ones are shortened to it."""
    accumulate: PositiveInt = 1
    """Batches whose gradients are averaged before the weights change."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of the moving average of the weights, which is what is validated and used; such as 0.99."""
    validate_every: PositiveInt = 1
    """Epochs between two validations on whole cases; the last epoch is always validated."""
    monitor: str | None = None
    """The score that chooses the best checkpoint; by default the first of the metrics."""


@dataclass(frozen=True)
class EpochResult:
    """What one epoch of training gave."""

    epoch: int
    step: int
    train_loss: float
    lr: float
    seconds: float
    waiting: float

    @property
    def record(self) -> dict[str, Any]:
        """The result as a line of the log."""
        return asdict(self)


@dataclass
class Position:
    """Where a run stands: all that a resume needs beside weights and optimizer."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    waited: float = 0.0


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
        self.loss = loss.to(runtime.device)
        self.optimizer = optimizer
        self.schedule = schedule
        self.settings = settings
        self.scaler = runtime.scaler()
        self.average = WeightAverage(model, settings.ema) if settings.ema is not None else None
        self.position = Position()
        self._highest_lr = [float(group["lr"]) for group in optimizer.param_groups]

    @property
    def scored_model(self) -> nn.Module:
        """The model that is validated and used: the average of the weights where there is one."""
        return self.model if self.average is None else self.average.model

    def epochs(
        self, batches: Batches, *, augment: Callable[[Batch], Batch], after_step: Callable[[float, float], None]
    ) -> Iterator[EpochResult]:
        """Results of the epochs that are left. `after_step(loss, waiting_share)` follows each step and may raise.

        Raises TrainingError where the loss or the gradient is NaN or infinite; the weights are those before that step.
        """
        while self.position.epoch < self.settings.epochs:
            yield self._epoch(batches, augment, after_step)

    def _epoch(
        self, batches: Batches, augment: Callable[[Batch], Batch], after_step: Callable[[float, float], None]
    ) -> EpochResult:
        self.model.train()
        at = self.position
        updates = -(-batches.steps_per_epoch // self.settings.accumulate)
        total = self.settings.epochs * updates
        with closing(batches.epoch(at.epoch, first_step=at.batch)) as iterator:
            clock = perf_counter()
            while (group := self._next_group(iterator)) is not None:
                waited = perf_counter() - clock
                lr_factor = self.schedule.factor(at.step, total)
                loss = self._step([augment(self._to_device(batch)) for batch in group], lr_factor)
                now = perf_counter()
                at.step, at.batch = at.step + 1, at.batch + len(group)
                at.loss_sum += loss * len(group)
                at.seconds, at.waited, clock = at.seconds + now - clock, at.waited + waited, now
                after_step(loss, at.waited / at.seconds)
        self.runtime.share_buffers(self.scored_model)
        mean_loss, lr = at.loss_sum / at.batch, float(self.optimizer.param_groups[0]["lr"])
        result = EpochResult(at.epoch, at.step, mean_loss, lr, round(at.seconds, 3), round(at.waited / at.seconds, 4))
        self.position = Position(epoch=at.epoch + 1, step=at.step)
        return result

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
        losses: list[Tensor] = []
        for batch in group:
            with self.runtime.autocast():
                logits = self.parallel(batch.images)
            loss = self.loss(logits, batch.targets)
            self.scaler.scale(loss / len(group)).backward()
            losses.append(loss.detach())
        mean_loss = float(self.runtime.mean(torch.stack(losses).mean()))
        if not math.isfinite(mean_loss):
            self._refuse("loss", mean_loss, group)
        self.scaler.unscale_(self.optimizer)
        self._check_gradient(group)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update(self.model, self.position.step + 1)
        return mean_loss

    def _check_gradient(self, group: list[Batch]) -> None:
        """Shorten a gradient that is too long, and refuse one that would make the weights NaN."""
        parameters = [parameter for parameter in self.model.parameters() if parameter.grad is not None]
        norm = nn.utils.get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
        if self.settings.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(parameters, self.settings.clip_norm, norm)
        if not self.scaler.is_enabled() and not math.isfinite(norm):  # a float16 scaler leaves such a step out itself
            self._refuse("gradient", float(norm), group)

    def _refuse(self, what: str, value: float, group: list[Batch]) -> None:
        ids = ", ".join(dict.fromkeys(id_ for batch in group for id_ in batch.ids))
        raise TrainingError(
            f"the {what} became {value} in epoch {self.position.epoch}, step {self.position.step}, on the cases {ids}. "
            "Checkpoints written before are good: look at these cases, lower optimizer.lr, "
            "set train.clip_norm=1 or runtime.precision=float32, and resume"
        )

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
