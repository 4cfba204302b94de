"""Everything that can be found wrong before training, from the configuration to real batches through the network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hilum.case import Cohort
from hilum.config import Reading
from hilum.data.audit import Audit
from hilum.data.findings import counted, severe, table, write_csv
from hilum.errors import ConfigError, DataError, Finding, HilumError, SplitError
from hilum.experiment import Experiment, cohort_faults, diagnose
from hilum.pipeline.auditing import look_for_copies, seen_by_others
from hilum.pipeline.found import Found
from hilum.pipeline.look import look_at_headers, look_at_voxels
from hilum.pipeline.one_step import StepTrial, try_steps
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
    reading = diagnose(Path(config_file), overrides)
    found = Found(reading.document, reading.faults, strict=options.strict)
    try:
        return _check(reading, found, options=options, say=say)
    finally:
        if options.table is not None:
            write_csv(found.findings, options.table)


def _check(reading: Reading[Experiment], found: Found, *, options: CheckOptions, say: Say) -> Verdict:
    experiment = reading.model
    cohort = find_cases(experiment, reading, found) if experiment is not None else None
    if experiment is None or cohort is None or found.faults:
        if experiment is not None and cohort is not None:
            _look_hastily(experiment, cohort, found)
        found.refuse()
    assert experiment is not None
    assert cohort is not None
    say(f"{found.document.file}: understood; {_people(cohort)}")
    index = look_at_headers(experiment, cohort)
    found.add(index.findings)
    say(f"headers of {len(index.headers)} images and masks: {counted(index.findings)}")
    readable = index.readable(cohort.cases)
    if found.wrong or options.voxels:
        found.add(look_at_voxels(experiment, readable, seconds=math.inf if options.voxels else HASTE_S))
    split = experiment.data.split.assign(cohort.cases, labels=cohort.labels)
    audit = look_for_copies(experiment, cohort, split, index=index, picture=options.pairs)
    found.add([*audit.findings, *seen_by_others(experiment, split, options.seen)])
    found.refuse()
    study = _prepare(experiment, cohort, found, rehash=options.rehash)
    found.refuse()
    trial = _try(study, found)
    _tell(study, trial, found, audit=audit, say=say)
    return Verdict(study, tuple(found.findings), trial)


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
    found.faults += [found.document.fault(where, message) for where, message in faults]
    return cohort


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
        say(f"{part}: {len(cases)} cases of {len({case.patient for case in cases})} patients")
    for line in audit.balance.splitlines():
        say(line)
    for note in study.notes:
        say(f"note: {note}")
    if found.warnings:
        say(table(found.warnings))
    experiment = study.experiment
    say(
        f"{experiment.network.kind}: {trial.parameters:,} parameters; a step with a batch of "
        f"{experiment.data.batch_size} takes {trial.step_s:.3g} s and at most {trial.memory_bytes / MIB:,.0f} MiB of "
        f"{'memory' if trial.device == 'cpu' else f'memory of {trial.device}'}, loss {trial.loss:.4f}"
    )
    train, minutes = experiment.train, trial.epoch_s / 60
    whole = (
        f"{minutes * train.epochs:.0f} min for {train.epochs} epochs"
        if train.epochs is not None
        else (f"{train.minutes:g} min for the whole run (train.minutes)")
    )
    say(f"about {minutes:.1f} min an epoch of {trial.steps_per_epoch} steps, without validation; {whole}")
    say(f"{counted(found.findings)}: all checks passed")


def _people(cohort: Cohort) -> str:
    return f"{len(cohort.cases)} cases of {len({case.patient for case in cohort.cases})} patients"
