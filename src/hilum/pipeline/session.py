"""One process's work on a run between two epochs: validate, keep the best, write the log and the checkpoint."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from hilum.data.loader import Batches
from hilum.errors import CheckpointError
from hilum.inference.inputs import frames_of
from hilum.pipeline.restore import problem_from
from hilum.pipeline.study import Study
from hilum.pipeline.validate import Validation
from hilum.run import Run
from hilum.runtime import Runtime, seed_weights
from hilum.training import checkpoint
from hilum.training.interrupt import StopRequest
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
    best: dict[str, Any] = field(default_factory=dict)

    def restore(self) -> None:
        """Go on from the last checkpoint where there is one, else from the start; forget what the log has after it."""
        file = self.run.checkpoint("last")
        if file.exists():
            tensors, facts = checkpoint.load(file, self.runtime.device)
            if problem_from(facts["problem"]) != self.study.problem:
                raise CheckpointError(
                    f"{file} was trained with other classes, channels or dimensions: start a new run for those"
                )
            self.trainer.restore(tensors, facts["position"])
            # Scores of two metrics cannot be compared: another monitor looks for its own best from here on.
            self.best = facts["best"] if facts["best"].get("monitor") == self.study.experiment.monitor else {}
        if self.runtime.is_main:
            self.run.forget_after(self.trainer.position.epoch)

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
        due = (result.epoch + 1) % settings.validate_every == 0 or result.epoch + 1 == settings.epochs
        if due and self.study.split.part("val"):
            scores = self.validation.scores(self.trainer.scored_model, self.trainer.loss)
            entry |= {f"val_{name}": value for name, value in scores.items()}
            self._keep_best(result.epoch, scores[self.study.experiment.monitor], scores["loss"])
        if self.runtime.is_main:
            self.run.record(entry)
        self.save_last()
        return entry

    @property
    def _facts(self) -> dict[str, Any]:
        """What a checkpoint holds beside tensors."""
        return {
            "position": self.trainer.facts(),
            "best": self.best,
            "problem": asdict(self.study.problem),
            "axes": list(self.study.frame.axes),
            "frames": frames_of(self.study.cohort.cases[0]),
            "split_sha256": self.study.split.sha256,
        }

    def _keep_best(self, epoch: int, score: float, loss: float) -> None:
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
    training = study.dataset(split.part("train"))
    training.prepare(lambda done, total: stop.check())
    batches = study.batches(training, runtime)
    seed_weights(runtime.seed)
    model = runtime.place(experiment.build_network(study.problem))
    trainer = Trainer(
        runtime,
        model,
        loss=experiment.build_loss(study.problem),
        optimizer=experiment.optimizer.build(model),
        schedule=experiment.schedule,
        settings=experiment.train,
    )
    # Each rank validates its share of the cases; every case belongs to exactly one rank.
    validation = Validation(study, runtime, stop, study.dataset(split.part("val")[runtime.rank :: runtime.world]))
    return Session(run, study, runtime, trainer, batches, validation)
