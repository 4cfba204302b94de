"""The road of one run: load, split, prepare, train, validate, keep the best; and the same from where a run stopped."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hilum.augment.augmenter import Augmenter
from hilum.case import Batch
from hilum.data.loader import Batches
from hilum.data.splits.base import restore as restore_split
from hilum.errors import CheckpointError, ConfigError
from hilum.experiment import Experiment, load
from hilum.pipeline.provenance import hashes, provenance
from hilum.pipeline.study import Study, make_study
from hilum.pipeline.validate import Validation
from hilum.report.curves import learning_curves
from hilum.run import Run, create, now, open_run
from hilum.runtime import Runtime, seed_weights
from hilum.tracking import jsonl
from hilum.tracking.console import Progress
from hilum.tracking.tensorboard import TensorBoard
from hilum.training import checkpoint
from hilum.training.interrupt import Interrupted, StopRequest
from hilum.training.trainer import EpochResult, Trainer

Say = Callable[[str], None]


def train(config_file: Path | str, overrides: Sequence[str] = (), *, overwrite: bool = False, say: Say = print) -> Run:
    """A finished run of the experiment in a YAML file.

    Raises ConfigError, DataError, SplitError or DeviceError before anything is computed, TrainingError for a loss that is not
    finite, Interrupted where it was asked to stop; the run can then be resumed.
    """
    experiment = load(Path(config_file), list(overrides))
    runtime = experiment.runtime.start()
    try:
        study = runtime.main_first(lambda: make_study(experiment)) if runtime.world > 1 else make_study(experiment)
        run = runtime.main_first(lambda: _new_run(study, runtime, overwrite=overwrite))
        return _continue(run, study, runtime, say=say)
    finally:
        runtime.stop()


def resume(folder: Path | str, overrides: Sequence[str] = (), *, say: Say = print) -> Run:
    """A run continued from its last checkpoint to its end, bit for bit as if it had not stopped (on the CPU).

    Raises CheckpointError where the folder is no run, or its data, split or classes are no longer those it was started with.
    """
    run = open_run(Path(folder))
    experiment = load(run.config, list(overrides))
    runtime = experiment.runtime.start()
    try:
        notes = tuple(run.read_json(run.provenance).get("notes", ()))
        study = make_study(experiment, split_of=lambda cohort: restore_split(run.split, cohort.cases, notes=notes))
        runtime.main_first(lambda: _join_lineage(run, study, overrides))
        return _continue(run, study, runtime, say=say)
    finally:
        runtime.stop()


def _new_run(study: Study, runtime: Runtime, *, overwrite: bool) -> Run:
    experiment = study.experiment
    run = create(experiment.runs / experiment.name, overwrite=overwrite)
    run.write_config(_resolved(study, run))
    run.write_split(study.split.as_csv())
    run.write_json(run.provenance, provenance(study, runtime))
    return run


def _resolved(study: Study, run: Run) -> dict[str, Any]:
    """The configuration with every default and everything found out written into it; plugins are copied into the run."""
    data = study.experiment.model_dump(mode="json")
    data["data"]["dims"], data["data"]["slice_axis"] = study.problem.dims, study.slice_axis
    data["plugins"] = []
    for plugin in study.experiment.plugins:
        copied = run.folder / "plugins" / plugin.name
        copied.parent.mkdir(exist_ok=True)
        copied.write_bytes(plugin.read_bytes())
        data["plugins"].append(f"plugins/{plugin.name}")
    return data


def _join_lineage(run: Run, study: Study, overrides: Sequence[str]) -> None:
    """Refuse other data than the run was started with, and write down that it goes on."""
    facts = run.read_json(run.provenance)
    for key, value in hashes(study).items():
        if facts.get(key) != value:
            what = key.removesuffix("_sha256")
            raise CheckpointError(f"the {what} of {run.folder} changed since it was started: start a new run instead")
    facts["lineage"] = [*facts.get("lineage", []), {"time": now(), "overrides": list(overrides)}]
    run.write_json(run.provenance, facts)
    if overrides:
        run.write_config(_resolved(study, run))


@dataclass
class _Session:
    """One process's work on a run: everything that the loop over epochs needs."""

    run: Run
    study: Study
    runtime: Runtime
    trainer: Trainer
    batches: Batches
    validation: Validation
    best: dict[str, Any] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, Any]:
        """What a checkpoint holds beside tensors."""
        return {
            "position": self.trainer.facts(),
            "best": self.best,
            "problem": asdict(self.study.problem),
            "axes": list(self.study.frame.axes),
            "images_per_case": len(self.study.cohort.cases[0].images),
            "split_sha256": self.study.split.sha256,
        }

    def save_last(self) -> None:
        """Write the state to go on from."""
        if self.runtime.is_main:
            self.run.save("last", tensors=self.trainer.tensors(), facts=self.facts)

    def restore(self) -> None:
        """Go on from the last checkpoint where there is one, else from the start."""
        file = self.run.checkpoint("last")
        if not file.exists():
            return
        tensors, facts = checkpoint.load(file, self.runtime.device)
        self.trainer.restore(tensors, facts["position"])
        self.best = facts["best"]


def _continue(run: Run, study: Study, runtime: Runtime, *, say: Say) -> Run:
    """Train from where the run stands to its end."""
    quiet = not runtime.is_main
    with StopRequest() as stop:
        session = _session(run, study, runtime, stop=stop)
        session.restore()
        trainer, total = session.trainer, study.experiment.train.epochs
        first_epoch = trainer.position.epoch
        if runtime.is_main:
            run.forget_after(first_epoch)
        updates = -(-session.batches.steps_per_epoch // study.experiment.train.accumulate)
        board = TensorBoard(run.tensorboard, resume_epoch=first_epoch or None) if runtime.is_main else None
        progress = Progress(
            total * updates, done_steps=trainer.position.step, score=f"val_{study.experiment.monitor}", quiet=quiet
        )
        augmenter = Augmenter(study.experiment.data.augment, seed=study.experiment.runtime.seed)

        def augment(batch: Batch) -> Batch:
            return augmenter(batch, study.frame) if augmenter.steps else batch

        def after_step(loss: float, waiting: float) -> None:
            progress.step(loss, waiting)
            stop.check()

        try:
            with progress:
                for note in study.notes:
                    progress.line(f"note: {note}")
                for result in trainer.epochs(session.batches, augment=augment, after_step=after_step):
                    entry = _after_epoch(session, result)
                    progress.epoch(entry)
                    if board is not None:
                        board.epoch(entry)
        except Interrupted as interrupted:
            session.save_last()
            say(f"stopped by {interrupted}; continue with: hilum train --resume {run.folder}")
            raise
        finally:
            if board is not None:
                board.close()
    if runtime.is_main:
        learning_curves(jsonl.read(run.log), run.folder / "learning_curves.png", best_epoch=session.best.get("epoch"))
        facts = run.read_json(run.provenance)
        facts |= {"finished": now(), "weights_sha256": checkpoint.weights_sha256(trainer.scored_model.state_dict())}
        run.write_json(run.provenance, facts)
    runtime.barrier()
    return run


def _session(run: Run, study: Study, runtime: Runtime, *, stop: StopRequest) -> _Session:
    experiment = study.experiment
    dataset = study.dataset(study.split.part("train"))
    runtime.main_first(lambda: _prepare(study, stop))
    dataset.prepare()
    seed_weights(runtime.seed)
    model = runtime.place(experiment.network.build(study.problem))
    batches = study.batches(dataset, runtime)
    _refuse_long_warmup(experiment, batches)
    trainer = Trainer(
        runtime,
        model,
        loss=experiment.loss.build(study.problem),
        optimizer=experiment.optimizer.build(model),
        schedule=experiment.schedule,
        settings=experiment.train,
    )
    return _Session(run, study, runtime, trainer, batches, Validation(study, runtime, stop))


def _prepare(study: Study, stop: StopRequest) -> None:
    """Prepare training and validation cases once, on the main rank, so that the others find them."""
    cases = (*study.split.part("train"), *study.split.part("val"))
    study.dataset(cases).prepare(lambda done, total: stop.check())


def _refuse_long_warmup(experiment: Experiment, batches: Batches) -> None:
    steps = experiment.train.epochs * -(-batches.steps_per_epoch // experiment.train.accumulate)
    if experiment.schedule.warmup >= steps:
        raise ConfigError(
            f"schedule.warmup: received {experiment.schedule.warmup} steps, the whole run has {steps}: lower it"
        )


def _after_epoch(session: _Session, result: EpochResult) -> dict[str, Any]:
    """Validate, keep the best weights, write the log and the checkpoint; gives the line of the log."""
    settings = session.study.experiment.train
    entry = result.record
    due = (result.epoch + 1) % settings.validate_every == 0 or result.epoch + 1 == settings.epochs
    if due and session.study.split.part("val"):
        scores = session.validation.scores(session.trainer.scored_model, session.trainer.loss)
        entry |= {f"val_{name}": value for name, value in scores.items()}
        if _is_better(session, scores[session.study.experiment.monitor]):
            session.best = {"epoch": result.epoch, "score": scores[session.study.experiment.monitor]}
            if session.runtime.is_main:
                session.run.save(
                    "best", tensors={"model": session.trainer.scored_model.state_dict()}, facts=session.facts
                )
    if session.runtime.is_main:
        session.run.record(entry)
    session.save_last()
    return entry


def _is_better(session: _Session, score: float) -> bool:
    metrics = {metric.column: metric for metric in session.study.experiment.metrics}
    before = session.best.get("score")
    if math.isnan(score):
        return False
    if before is None:
        return True
    higher = metrics[session.study.experiment.monitor].better == "higher"
    return score > before if higher else score < before
