"""The road of one run: load, split, prepare, train, validate, keep the best; and the same from where a run stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hilum.config import read
from hilum.data.seen import as_csv as seen_as_csv
from hilum.data.seen import seen_of, table_sha256
from hilum.data.splits.base import restore as restore_split
from hilum.errors import CheckpointError, ConfigError, Finding
from hilum.experiment import Experiment, load
from hilum.formats.atomic import write_whole
from hilum.pipeline.calibrating import calibrate
from hilum.pipeline.choosing import choose_postprocess
from hilum.pipeline.found import placed
from hilum.pipeline.histograms import histograms
from hilum.pipeline.pretraining import refuse_other_start
from hilum.pipeline.provenance import hashes, provenance
from hilum.pipeline.reviewing import keep_fingerprint, keep_validation
from hilum.pipeline.session import Session, make_session
from hilum.pipeline.stopped import stopped_by
from hilum.pipeline.study import Study, make_study
from hilum.pipeline.timing import time_budget
from hilum.pipeline.training_data import prepare, study_for_training, tell_briefly
from hilum.report.curves import learning_curves
from hilum.run import Run, create, lock, now, open_run
from hilum.runtime import Runtime
from hilum.tracking import jsonl
from hilum.tracking.console import Progress
from hilum.tracking.tensorboard import TensorBoard
from hilum.training import checkpoint
from hilum.training.interrupt import Interrupted, StopRequest
from hilum.training.spoilt import SpoiltError
from hilum.yaml_text import Document

Say = Callable[[str], None]
OnEpoch = Callable[[dict[str, Any]], None]


def unwatched(entry: dict[str, Any]) -> None:
    """Nothing: what follows an epoch of a run that nobody watches."""


def train(
    config_file: Path | str,
    overrides: Sequence[str] = (),
    *,
    overwrite: bool = False,
    rehash: bool = False,
    say: Say = print,
    on_epoch: OnEpoch = unwatched,
) -> Run:
    """A finished run of the experiment in a YAML file.

    `rehash` reads all files again to see whether they changed since they were prepared. `on_epoch` gets each epoch's
    line of the log once it is on the disk; what it raises ends the run, which can be resumed. Raises ConfigError,
    DataError, SplitError or DeviceError before anything is computed; TrainingError for a loss that is not finite and
    Interrupted where it was asked to stop, after which the run can be resumed.
    """
    experiment = load(Path(config_file), list(overrides))
    runtime = experiment.runtime.start()
    with ExitStack() as stack:
        stack.callback(runtime.stop)
        study, warnings = _checked(experiment, read(config_file, overrides), runtime, rehash=rehash)
        if runtime.is_main:
            tell_briefly(warnings, say=say)
        runtime.main_first(lambda: stack.enter_context(lock(experiment.runs / experiment.name)))
        run = runtime.main_first(lambda: _new_run(study, runtime, overwrite=overwrite))
        return _continue(run, study, runtime, say=say, on_epoch=on_epoch)


def resume(
    folder: Path | str,
    overrides: Sequence[str] = (),
    *,
    rehash: bool = False,
    say: Say = print,
    on_epoch: OnEpoch = unwatched,
) -> Run:
    """A run continued from its last checkpoint to its end, bit for bit as if it had not stopped (on the CPU).

    `folder` may also be a checkpoint in it, such as checkpoints/previous.pt, to go on from that one. Raises
    CheckpointError where the folder is no run, or its data or split are not those it was started with.
    """
    chosen = Path(folder) if Path(folder).is_file() else None
    run = open_run(Path(folder) if chosen is None else chosen.parents[1])
    experiment = load(run.config, list(overrides))
    if any(override.startswith("pretrained") for override in overrides):
        refuse_other_start(run, experiment, load(run.config))
    runtime = experiment.runtime.start()
    with ExitStack() as stack:
        stack.callback(runtime.stop)
        runtime.main_first(lambda: stack.enter_context(lock(run.folder)))
        if chosen is not None:
            runtime.main_first(lambda: _go_back_to(chosen, run))
        notes = tuple(run.read_json(run.provenance).get("notes", ()))
        study = make_study(
            experiment, split_of=lambda cohort: restore_split(run.split, cohort.cases, notes=notes), rehash=rehash
        )
        runtime.main_first(lambda: _refuse_other_data(run, study))
        runtime.main_first(lambda: prepare(study, study.learnt_from))
        return _continue(run, study, runtime, say=say, on_epoch=on_epoch, overrides=overrides)


def _go_back_to(file: Path, run: Run) -> None:
    """Make a checkpoint of the run, such as the previous one, its last one. Raises CheckpointError where it cannot."""
    if file.name not in ("last.pt", "previous.pt"):
        raise CheckpointError(f"{file} is no state to go on from: expected the run folder, last.pt or previous.pt")
    checkpoint.load(file)
    try:
        write_whole(run.checkpoint("last"), file.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{run.checkpoint('last')} cannot be written: {error.strerror}") from error


def refuse_faults(config_file: Path | str, overrides: Sequence[str]) -> None:
    """Raise what `train` would raise before it makes a run folder."""
    experiment = load(Path(config_file), list(overrides))
    _checked(experiment, read(config_file, overrides), experiment.runtime.start(alone=True), rehash=False)


def _checked(
    experiment: Experiment, document: Document, runtime: Runtime, *, rehash: bool
) -> tuple[Study, tuple[Finding, ...]]:
    """The study, and warnings about the data; faults are found before a run folder is made."""
    try:
        study, warnings = runtime.main_first(lambda: study_for_training(experiment, document, rehash=rehash))
        study.batches(study.dataset(study.split.part("train")), runtime)
    except ConfigError as error:
        raise ConfigError(placed(error, document), summary=error.summary) from error
    return study, warnings


def _new_run(study: Study, runtime: Runtime, *, overwrite: bool) -> Run:
    experiment = study.experiment
    seen = seen_as_csv(seen_of(study.split, experiment.name, cache=experiment.data.cache))
    run = create(experiment.runs / experiment.name, overwrite=overwrite)
    run.write_config(_resolved(study, run))
    run.write_split(study.split.as_csv())
    run.write_seen(seen)
    run.write_json(run.provenance, provenance(study, runtime) | {"seen_sha256": table_sha256(seen)})
    return run


def _resolved(study: Study, run: Run) -> dict[str, Any]:
    """The configuration with every default and finding written out; plugins are copied into the run."""
    data = study.experiment.model_dump(mode="json")
    data["plugins"] = []
    for plugin in study.experiment.plugins:
        copied = run.folder / "plugins" / plugin.name
        copied.parent.mkdir(exist_ok=True)
        copied.write_bytes(plugin.read_bytes())
        data["plugins"].append(f"plugins/{plugin.name}")
    return data


def _refuse_other_data(run: Run, study: Study) -> None:
    """Raise CheckpointError for other data or another split than the run was started with."""
    facts = run.read_json(run.provenance)
    for key, value in hashes(study).items():
        if facts.get(key) != value:
            what = key.removesuffix("_sha256")
            raise CheckpointError(f"the {what} of {run.folder} changed since it was started: start a new run instead")


def _join_lineage(session: Session, overrides: Sequence[str]) -> None:
    """Write down that the run goes on, from where, and with which settings."""
    run, at = session.run, session.trainer.position
    facts = run.read_json(run.provenance)
    entry = {"time": now(), "overrides": list(overrides), "epoch": at.epoch, "step": at.step}
    facts["lineage"] = [*facts.get("lineage", []), entry]
    run.write_json(run.provenance, facts)
    if overrides:
        run.write_config(_resolved(session.study, run))


def _continue(
    run: Run, study: Study, runtime: Runtime, *, say: Say, on_epoch: OnEpoch, overrides: Sequence[str] | None = None
) -> Run:
    """Train from where the run stands to its end; `overrides` are those of a run that is resumed."""
    with StopRequest() as stop:
        try:
            session = make_session(run, study, runtime, stop=stop)
            session.restore()
            if overrides is not None:  # not before: settings that the checkpoint refuses must not stay in the folder
                runtime.main_first(lambda: _join_lineage(session, overrides))
            _train(session, stop, on_epoch)
            _conclude(session, say)
        except Interrupted as interrupted:
            if runtime.is_main:
                say(f"stopped by {interrupted}; continue with: hilum train --resume {run.folder}")
            raise
        except SpoiltError as error:
            if runtime.is_main:
                run.record_spoilt(error.spoilt.facts | {"then": "stopped"})
            raise
        except (MemoryError, RuntimeError, OSError) as error:
            stopped = stopped_by(error, run, study, runtime)
            if stopped is None:
                raise
            raise stopped from error
    if runtime.is_main:
        learning_curves(jsonl.read(run.log), run.folder / "learning_curves.png", best_epoch=session.best.get("epoch"))
        weights = session.trainer.scored_model.state_dict()
        finished = {"finished": now(), "weights_sha256": checkpoint.weights_sha256(weights)}
        run.write_json(run.provenance, run.read_json(run.provenance) | finished)
    runtime.barrier()
    return run


def _conclude(session: Session, say: Say) -> None:
    """All that is found once the network is trained; each step sees the network as those before it leave it."""
    keep_fingerprint(session)
    calibrate(session, say=say)
    choose_postprocess(session, say=say)
    keep_validation(session, say=say)


def _train(session: Session, stop: StopRequest, on_epoch: OnEpoch) -> None:
    """The epochs that are left, shown on the terminal and in TensorBoard."""
    trainer, main, minutes = session.trainer, session.runtime.is_main, session.study.experiment.train.minutes
    if minutes is not None:
        session.keep_budget(time_budget(session, minutes, stop))
    progress = Progress(
        trainer.total_steps(session.batches),
        done_steps=trainer.position.step,
        score=f"val_{session.study.experiment.monitor}",
        quiet=not main,
    )

    def after_step(loss: float, waiting: float) -> None:
        progress.step(loss, waiting)
        if trainer.spoilt is not None and main:
            progress.line(f"skipped a step: {trainer.spoilt}")
            session.run.record_spoilt(trainer.spoilt.facts | {"then": "skipped"})
        stop.signum = session.runtime.highest(stop.signum or 0) or None  # all ranks stop after the same step
        if stop.signum is not None:
            session.save_last()
            stop.check()

    with ExitStack() as stack:
        stack.enter_context(progress)
        board = _board(session, progress.line) if main else None
        if board is not None:
            stack.enter_context(board)
        for note in session.notes:
            progress.line(f"note: {note}")
        results = trainer.epochs(session.batches, augment=session.augment, after_step=after_step)
        while not session.stands_still and (result := next(results, None)) is not None:
            entry = session.finish_epoch(result)
            progress.epoch(entry)
            if board is not None:
                board.epoch(entry)
                board.histograms(result.epoch, histograms(session))
            on_epoch(entry)
        if session.stands_still:
            progress.line(f"early stopping: no better for {session.stillness.waited} validations")


def _board(session: Session, say: Say) -> TensorBoard:
    return TensorBoard(session.run.tensorboard, resume_epoch=session.trainer.position.epoch or None, say=say)
