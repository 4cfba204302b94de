"""Everything that can be found wrong before training, from the configuration to real batches through the network."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hilum.case import Case, Cohort
from hilum.config import Reading
from hilum.data.audit import Audit
from hilum.data.findings import counted, severe, table, write_csv
from hilum.errors import ConfigError, DataError, Finding, HilumError, SplitError, number_of
from hilum.experiment import Experiment, cohort_faults, diagnose
from hilum.hardware import memory_bytes
from hilum.pipeline.auditing import look_for_copies, seen_by_others, seen_in
from hilum.pipeline.describing import dropped_borders
from hilum.pipeline.estimate import study_bytes
from hilum.pipeline.found import Found
from hilum.pipeline.look import look_at_headers, look_at_voxels
from hilum.pipeline.one_step import StepTrial, try_steps
from hilum.pipeline.pretraining import refuse_unfit, seen_in_pretraining
from hilum.pipeline.session import validated
from hilum.pipeline.study import Study, make_study
from hilum.pipeline.training_data import prepare
from hilum.tracking.console import bar

Say = Callable[[str], None]
HASTE_S = 1.5
"""How long files are looked at when something is wrong already and the answer should come at once."""
MIB = 2**20
NAMED = "class unknown"
"""The kind of finding that a fault of the configuration names already, once for all cases."""


@dataclass(frozen=True)
class Verdict:
    """What a check found where nothing is wrong: the study, warnings about its data, and the cost of a step."""

    study: Study
    findings: tuple[Finding, ...]
    trial: StepTrial


@dataclass(frozen=True)
class CheckOptions:
    """How `check` looks: `voxels` reads all voxels anew, `strict` refuses warnings.

    `rehash` reads all files again to see whether they changed since they were prepared. All findings are written into
    the CSV file `table`, and the pairs of copies found are drawn into the PNG file `pairs`. Whom the runs in `seen`
    have learnt from may be in no part that is scored.
    """

    voxels: bool = False
    strict: bool = False
    table: Path | None = None
    rehash: bool = False
    pairs: Path | None = None
    seen: tuple[Path, ...] = ()


def check(
    config_file: Path | str,
    overrides: Sequence[str] = (),
    *,
    options: CheckOptions = CheckOptions(),
    say: Say = print,
) -> Verdict:
    """The verdict on a configuration and its data. Raises ConfigError with everything found; trains nothing.

    Configuration, cases, headers of all files, split, voxels, and a few steps of training, in this order; what comes
    later is looked at only where what comes before is right, or for a moment.
    """
    for file in (options.table, options.pairs):
        if file is not None:
            _require_place(file)
    for run in options.seen:
        seen_in(run)  # so that one that cannot be read is refused at once
    reading = diagnose(Path(config_file), overrides)
    found = Found(reading.document, reading.faults, strict=options.strict)
    try:
        verdict = _check(reading, found, options=options, say=say)
    except ConfigError:
        _write_table(found, options.table)
        raise
    _write_table(found, options.table)
    return verdict


def _check(reading: Reading[Experiment], found: Found, *, options: CheckOptions, say: Say) -> Verdict:
    experiment = reading.model
    cohort = find_cases(experiment, reading, found) if experiment is not None else None
    if experiment is None or cohort is None or found.wrong:
        if experiment is not None and cohort is not None:
            _look_hastily(experiment, cohort, found)
        found.refuse()
    assert experiment is not None
    assert cohort is not None
    say(f"{found.document.file}: understood; {_people(cohort.cases)}")
    index = look_at_headers(experiment, cohort)
    found.add(index.findings)
    say(f"headers of {len(index.headers)} images and masks: {counted(index.findings)}")
    readable = index.readable(cohort.cases)
    if found.wrong or options.voxels:
        found.add(look_at_voxels(experiment, readable, seconds=math.inf if options.voxels else HASTE_S))
    if found.wrong and not options.voxels:
        say("looked at voxels for a moment only and not for copies, while this is wrong: --voxels looks at everything")
        found.refuse()
    split = experiment.data.split.assign(cohort.cases, labels=experiment.task.strata(cohort))
    whole = replace(cohort, cases=readable)
    audit = look_for_copies(experiment, whole, split, index=index, picture=options.pairs)
    found.add([*audit.findings, *seen_by_others(experiment, split, options.seen)])
    found.add(seen_in_pretraining(experiment, split))
    found.refuse()
    study = _prepare(experiment, cohort, found, rehash=options.rehash)
    found.refuse()
    trial = _try(study, found)
    _tell(study, trial, found, audit=audit, say=say)
    return Verdict(study, tuple(found.findings), trial)


def _require_place(file: Path) -> None:
    """Raise ConfigError where a file can never be written, which would else come out after minutes."""
    folder = next(parent for parent in file.absolute().parents if parent.exists())
    if file.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(f"{file} cannot be written: expected a file in a folder that can be written")


def _write_table(found: Found, file: Path | None) -> None:
    if file is not None:
        write_csv(found.all, file)


def find_cases(experiment: Experiment, reading: Reading[Experiment], found: Found) -> Cohort | None:
    """The cohort; None where there is none, or none that can be looked at yet.

    One that has to be generated first is left until nothing else is wrong.
    """
    if not reading.knows(("task",), ("data", "source")) or (reading.faults and experiment.data.source.makes_files):
        return None
    try:
        cohort, faults = cohort_faults(experiment, divide=reading.knows(("data", "split")))
    except DataError as error:
        found.add_error(error)
        return None
    split = ("data", "split")
    shared = _shared_patients(experiment, cohort) if cohort is not None and split in dict(faults) else ()
    found.add(shared)
    found.faults += [found.document.fault(where, said) for where, said in faults if not (shared and where == split)]
    return cohort


def _shared_patients(experiment: Experiment, cohort: Cohort) -> tuple[Finding, ...]:
    """A finding for each patient that the split puts into two parts; none where it cannot be made for other reasons."""
    try:
        experiment.data.split.assign(cohort.cases, labels=experiment.task.strata(cohort))
    except HilumError as error:
        return error.findings if isinstance(error, SplitError) else ()
    return ()


def _look_hastily(experiment: Experiment, cohort: Cohort, found: Found) -> None:
    """Errors in the data as far as there is time: the configuration has to be mended first."""
    index = look_at_headers(experiment, cohort, seconds=HASTE_S)
    voxels = look_at_voxels(experiment, index.readable(cohort.cases), seconds=HASTE_S)
    found.add(finding for finding in severe([*index.findings, *voxels]) if finding.kind != NAMED)


def _prepare(experiment: Experiment, cohort: Cohort, found: Found, *, rehash: bool) -> Study:
    """The study, every case of its split prepared and kept for training; what is found there is added."""
    study: Study | None = None
    try:
        study = make_study(experiment, cohort=cohort, rehash=rehash, progress=bar)
        refuse_unfit(study)
        cases = [case for part in study.split.parts.values() for case in part]
        found.add(prepare(study, cases))
    except (ConfigError, DataError, SplitError) as error:
        found.add_error(error)
        if study is None and isinstance(error, DataError):  # it ended at the first case
            found.add(look_at_voxels(experiment, cohort.cases))
        found.refuse()
        raise
    return study


def _try(study: Study, found: Found) -> StepTrial:
    try:
        return try_steps(study)
    except HilumError as error:
        found.add_error(error)
        found.refuse()
        raise


def _tell(study: Study, trial: StepTrial, found: Found, *, audit: Audit, say: Say) -> None:
    """The verdict in words: parts, notes, warnings, and what training will cost."""
    for part, cases in study.split.parts.items():
        say(f"{part}: {_people(cases)}")
    for line in audit.balance.splitlines():
        say(line)
    for note in (*study.notes, *dropped_borders(study)):
        say(f"note: {note}")
    if found.warnings:
        say(table(found.warnings))
    experiment = study.experiment
    samples = experiment.data.samples_per_step
    say(
        f"{experiment.network.kind}: {trial.parameters:,} parameters; a step with a batch of "
        f"{samples} takes {trial.step_s:.3g} s and at most {trial.memory_bytes / MIB:,.0f} MiB of "
        f"{'memory' if trial.device == 'cpu' else f'memory of {trial.device}'}, loss {trial.loss:.4f}"
    )
    say(_memory(study))
    say(_duration(study, trial))
    say(f"{counted(found.findings)}: all checks passed")


def _memory(study: Study) -> str:
    """How much memory the whole run is estimated to take, of how much there is."""
    runtime = study.experiment.runtime.start(alone=True)
    needed, there = study_bytes(study, runtime), memory_bytes(runtime.device.type)
    told = f"estimated for the whole run: {needed / MIB:,.0f} MiB of the {there / MIB:,.0f} MiB that there are"
    return told if needed < there else f"{told}: too much, lower data.batch_size, data.patch.size or network.channels"


def _duration(study: Study, trial: StepTrial) -> str:
    """How long an epoch, a validation and the whole run will take."""
    settings, scored = study.experiment.train, len(validated(study))
    epoch = f"about {in_words(trial.epoch_s)} an epoch of {number_of(trial.steps_per_epoch, 'step')}"
    if scored:
        epoch += f", {in_words(trial.validation_s)} a validation of {number_of(scored, 'case')}"
    if settings.epochs is None:
        return f"{epoch}: {settings.minutes:g} min for the whole run, as train.minutes says"
    total_s, told = settings.epochs * trial.epoch_s, number_of(settings.epochs, "epoch")
    if scored:
        times = -(-settings.epochs // settings.validate_every)
        total_s += (times + len(study.split.part("val")) / scored) * trial.validation_s  # all are scored at the end
        told += f" with {number_of(times, 'validation')} and the last scores"
    return f"{epoch}: {in_words(total_s)} for {told}"


def in_words(seconds: float) -> str:
    """A time as people say it: "0.4 s", "45 s", "12 min", "3.5 h"."""
    if seconds < 99.5:
        return f"{seconds:.2g} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 99.5 * 60 else f"{seconds / 3600:.1f} h"


def _people(cases: Sequence[Case]) -> str:
    return f"{number_of(len(cases), 'case')} of {number_of(len({case.patient for case in cases}), 'patient')}"
