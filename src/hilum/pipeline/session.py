"""One process's work on a run between two epochs: validate, keep the best, write the log and the checkpoint."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn

from hilum.augment.augmenter import Augmenter
from hilum.case import Batch, Case
from hilum.data.loader import Batches
from hilum.errors import CheckpointError
from hilum.hardware import keep_freed_memory
from hilum.inference.inputs import frames_of
from hilum.optim.schedules import PlateauConfig
from hilum.pipeline.pretraining import load_pretrained
from hilum.pipeline.restore import problem_from
from hilum.pipeline.study import Study
from hilum.pipeline.training_faults import refuse_long_warmup
from hilum.pipeline.validate import Validation
from hilum.random import generator
from hilum.run import Run
from hilum.runtime import Runtime, seed_weights
from hilum.training import checkpoint
from hilum.training.budget import Budget
from hilum.training.freezing import freeze, frozen_patterns
from hilum.training.interrupt import StopRequest
from hilum.training.stopping import Lowering, Stillness
from hilum.training.trainer import EpochResult, Trainer


@dataclass
class Session:
    """Everything that the loop over epochs needs."""

    run: Run
    study: Study
    runtime: Runtime
    trainer: Trainer
    batches: Batches
    validation: Validation
    augmenter: Augmenter
    started_from: tuple[str, ...] = ()
    best: dict[str, Any] = field(default_factory=dict)
    stillness: Stillness = field(default_factory=Stillness)
    lowering: Lowering = field(default_factory=Lowering)
    budget: Budget | None = None

    def restore(self) -> None:
        """Go on from the last checkpoint where there is one, else from the start; forget what the logs have after it.

        Raises CheckpointError where it is damaged or belongs to something else.
        """
        file = self.run.checkpoint("last")
        if file.exists():
            tensors, facts = load_last(self.run, self.runtime.device)
            if problem_from(facts["problem"]) != self.study.problem:
                raise CheckpointError(
                    f"{file} was trained with other classes, channels or dimensions: start a new run for those"
                )
            position = rebatched(facts["position"], facts.get("batch_size"), self.batches.batch_size)
            self.trainer.restore(tensors, position)
            # Scores of two metrics cannot be compared: another monitor looks for its own best from here on.
            same_monitor = facts.get("monitor", facts["best"].get("monitor")) == self.study.experiment.monitor
            self.best = facts["best"] if same_monitor else {}
            self.stillness = Stillness(**facts.get("stillness", {})) if same_monitor else Stillness()
            self._restore_lowering(facts.get("lowering", {}), same_monitor=same_monitor)
            self.budget = Budget.from_facts(facts["budget"]) if facts.get("budget") else None
        if self.runtime.is_main:
            self.run.forget_after(self.trainer.position.epoch, self.trainer.position.step)

    def augment(self, batch: Batch) -> Batch:
        """The batch as the network sees it in training."""
        return self.augmenter(batch, self.study.frame) if self.augmenter.acts else batch

    @property
    def notes(self) -> tuple[str, ...]:
        """What the log has to say before the first epoch."""
        study, budget = self.study, self.budget
        chosen, all_cases = len(validated(study)), len(study.split.part("val"))
        some = (
            f"validating on {chosen} of {all_cases} cases, the same each time: these choose the best checkpoint; "
            "hilum evaluate scores it on all"
        )
        return (
            *study.notes,
            *self.started_from,
            *([some] if chosen < all_cases else []),
            *([str(budget)] if budget is not None and study.experiment.train.minutes is not None else []),
            *rank_notes(self.runtime, self.trainer.model),
        )

    @property
    def stands_still(self) -> bool:
        """Whether early stopping ends the run here."""
        settings = self.study.experiment.train.early_stopping
        return settings is not None and self.stillness.waited >= settings.patience

    def keep_budget(self, budget: Budget) -> None:
        """End the run after the steps of a time budget, and keep it in the checkpoint."""
        refuse_long_warmup(self.study.experiment, budget.steps)
        self.trainer.step_limit = budget.steps
        if budget != self.budget:
            self.budget = budget
            self.save_last()
            if self.runtime.is_main:
                facts = self.run.read_json(self.run.provenance)
                self.run.write_json(self.run.provenance, facts | {"time_budget": budget.facts})

    def save_last(self) -> None:
        """Write the state to go on from."""
        if self.runtime.is_main:
            self.run.save("last", tensors=self.trainer.tensors(), facts=self._facts)

    def finish_epoch(self, result: EpochResult) -> dict[str, Any]:
        """The line of the log for an epoch, after validating where it is due and writing log and checkpoints.

        A run that is stopped in here repeats the epoch, to the same bits.
        """
        settings = self.study.experiment.train
        entry = result.record
        due = (result.epoch + 1) % settings.validate_every == 0 or self.trainer.finished
        if due and self.study.split.part("val"):
            scores = self.validation.scores(self.trainer.scored_model, self.trainer.loss)
            entry |= {f"val_{name}": value for name, value in scores.items()}
            if settings.validate_cases is not None:
                entry["validated"] = settings.validate_cases
            self._judge(result.epoch, scores[self.study.experiment.monitor], scores["loss"])
        if self.runtime.is_main:
            self.run.record(entry)
        self.save_last()
        return entry

    def _restore_lowering(self, facts: dict[str, Any], *, same_monitor: bool) -> None:
        """Go on with the learning rate that a plateau schedule had come to."""
        self.lowering = Lowering.from_facts(facts)
        if not same_monitor:
            self.lowering.stillness = Stillness()
        schedule = self.study.experiment.schedule
        if isinstance(schedule, PlateauConfig):
            self.trainer.lr_scale = schedule.lowered(self.lowering.drops)

    @property
    def _facts(self) -> dict[str, Any]:
        """What a checkpoint holds beside tensors."""
        return {
            "position": self.trainer.facts(),
            "batch_size": self.batches.batch_size,
            "best": self.best,
            "monitor": self.study.experiment.monitor,
            "stillness": self.stillness.facts,
            "lowering": self.lowering.facts,
            "budget": None if self.budget is None else self.budget.facts,
            "problem": asdict(self.study.problem),
            "axes": list(self.study.frame.axes),
            "frames": frames_of(self.study.cohort.cases[0]),
            "split_sha256": self.study.split.sha256,
        }

    def _judge(self, epoch: int, score: float, loss: float) -> None:
        """Take note of a validation, and keep the weights where they are the best so far."""
        experiment = self.study.experiment
        higher = experiment.monitored.better == "higher"
        if experiment.train.early_stopping is not None:
            self.stillness.add(score, experiment.train.early_stopping, higher_is_better=higher)
        if isinstance(experiment.schedule, PlateauConfig):
            self.lowering.add(score, experiment.schedule, higher_is_better=higher)
            self.trainer.lr_scale = experiment.schedule.lowered(self.lowering.drops)
        if not self._is_better(score, loss):
            return
        self.best = {"epoch": epoch, "monitor": self.study.experiment.monitor, "score": score, "loss": loss}
        if self.runtime.is_main:
            weights = self.trainer.scored_model.state_dict()
            self.run.save("best", tensors={"model": weights}, facts=self._facts)

    def _is_better(self, score: float, loss: float) -> bool:
        """Whether an epoch scores better than the best so far; of equal scores the one of lower loss is better."""
        before = self.best.get("score")
        if math.isnan(score) or before is None:
            return not math.isnan(score)
        if score == before:
            return bool(loss < self.best["loss"])
        return bool(score > before if self.study.experiment.monitored.better == "higher" else score < before)


def make_session(run: Run, study: Study, runtime: Runtime, *, stop: StopRequest) -> Session:
    """A session at the start of a run: cases prepared, weights drawn, nothing restored."""
    experiment, split = study.experiment, study.split
    keep_freed_memory()
    training = study.dataset(split.part("train"))
    training.prepare(lambda done, total: stop.check())
    batches = study.batches(training, runtime)
    seed_weights(runtime.seed)
    model = runtime.place(experiment.build_network(study.problem))
    started_from = load_pretrained(run, study, runtime, model)
    settings = experiment.train
    freeze(model, frozen_patterns(model, settings.freeze, settings.freeze_to))
    trainer = Trainer(
        runtime,
        model,
        loss=experiment.build_loss(study.problem),
        optimizer=experiment.optimizer.build(model),
        schedule=experiment.schedule,
        settings=settings,
    )
    # Each rank validates its share of the cases; every case belongs to exactly one rank.
    validation = Validation(study, runtime, stop, study.dataset(validated(study)[runtime.rank :: runtime.world]))
    augmenter = Augmenter(experiment.data.augment, runtime.seed, experiment.data.degrade)
    return Session(run, study, runtime, trainer, batches, validation, augmenter, started_from)


def validated(study: Study) -> tuple[Case, ...]:
    """The cases of the validation part that training validates on: all, or some that the seed draws once."""
    cases, most = tuple(study.split.part("val")), study.experiment.train.validate_cases
    if most is None:
        return cases
    drawn = generator(study.experiment.runtime.seed, 0, 0, "validate_cases").permutation(len(cases))[:most]
    return tuple(cases[index] for index in sorted(drawn))


def rank_notes(runtime: Runtime, model: nn.Module) -> tuple[str, ...]:
    """What the number of processes changes about training a model."""
    normed = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())
    if runtime.world == 1 or not normed or any(isinstance(module, nn.SyncBatchNorm) for module in model.modules()):
        return ()
    message = (
        f"each of the {runtime.world} processes takes the statistics of batch norm from its own share of the batch, "
        f"since torch shares them on CUDA only, not on {runtime.device.type}: another number of processes, another run"
    )
    return (message,)


def rebatched(position: dict[str, Any], before: int | None, now: int) -> dict[str, Any]:
    """A position within an epoch, counted in batches of another size: the samples seen are the same.

    Raises CheckpointError where that is no whole number of batches.
    """
    if before in (None, now) or not position["batch"]:
        return position
    assert before is not None
    if position["batch"] * before % now:
        raise CheckpointError(
            f"data.batch_size: received {now}, but the run stopped in the middle of an epoch, after "
            f"{position['batch'] * before} samples: take a divisor of that, or of {before}"
        )
    counted = {name: position.get(name, 0) * before for name in ("batch", "loss_sum", "skipped")}
    return {
        **position,
        "batch": counted["batch"] // now,
        "loss_sum": counted["loss_sum"] / now,
        "skipped": counted["skipped"] // now,
        "gradients": {name: total * before / now for name, total in position.get("gradients", {}).items()},
    }


def load_last(run: Run, device: torch.device) -> tuple[dict[str, Any], dict[str, Any]]:
    """The last checkpoint. Raises CheckpointError where it is damaged, naming the one before where that is whole."""
    try:
        return checkpoint.load(run.checkpoint("last"), device)
    except CheckpointError as error:
        before = run.checkpoint("previous")
        try:
            _, facts = checkpoint.load(before)
        except CheckpointError:
            raise error from None
        raise CheckpointError(
            f"{error}. The one before is whole (epoch {facts['position']['epoch']}, step {facts['position']['step']}): "
            f"go on from it with: hilum train --resume {before}"
        ) from error
