"""`hilum sweep`: check the space, then take one trial after the other until none is left, beside other processes."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hilum.config import read
from hilum.errors import ConfigError, Fault
from hilum.experiment import Experiment, cohort_faults, load
from hilum.pipeline.sweeping.ledger import Ledger, forget, open_ledger, refuse_changes, storage_errors
from hilum.pipeline.sweeping.locks import taken, waiting_for
from hilum.pipeline.sweeping.outcome import Sweep, shown, tell_outcome, write_outcome
from hilum.pipeline.sweeping.space import PARTING, refuse_misfits, space_of, touches
from hilum.pipeline.sweeping.trial import Plan, run_trial
from hilum.run import write_text
from hilum.training.interrupt import Interrupted
from hilum.training.sweep_section import DEFAULT_TRIALS, SweepConfig
from hilum.yaml_text import dump

HEADER = "# A sweep: the configuration that its trials share, and the settings that they try.\n"
"""First line of a sweep's sweep.yaml: no other file begins with it."""
FREE = ("sweep.trials", "runs", "data.cache", "data.cache_gb", "data.memory_gb", "data.workers", "runtime.threads")
"""Keys that may change between two calls, since no score depends on them."""
PASSWORD = re.compile(r"(?<=://)([^:/@]*):[^@/]*@")

Say = Callable[[str], None]


def sweep(
    config_file: Path | str, overrides: Sequence[str] = (), *, overwrite: bool = False, say: Say = print
) -> Sweep:
    """A sweep as its section says: all trials that are left, each a run, and a table, a picture and the best of them.

    The folder is RUNS/NAME-sweep; one that exists is continued, or replaced with `overwrite`. Raises ConfigError,
    DataError or SplitError before any compute, Interrupted where it was asked to stop, and TrainingError where disk or
    storage failed; the same call then goes on. A trial that cannot be trained is a row of the table.
    """
    file = Path(config_file)
    experiment = load(file, overrides)
    section = _settled(file, overrides, experiment)
    refuse_misfits(file, overrides, experiment, section)
    plan = Plan(
        file,
        tuple(overrides),
        experiment.runs / f"{experiment.name}-sweep",
        experiment.monitor,
        experiment.monitored.better,
    )
    facts = _facts(experiment, section)
    split = _split_sha256(file, overrides, experiment)
    with storage_errors(section), _at_work(plan, section, overwrite=overwrite):
        with waiting_for(plan.folder.with_name(f".{plan.folder.name}.begin.lock")):
            _begin(plan.folder, facts, data=_shared(experiment, section))
        all_facts = {**facts, "split_sha256": split}
        with open_ledger(plan.folder, section, better=plan.better, facts=all_facts) as ledger:
            ledger.enqueue(section.trials or 0)
            return _work(plan, ledger, say=say)


def _work(plan: Plan, ledger: Ledger, *, say: Say) -> Sweep:
    """Take trials until none is left; the table is up to date after each, and the picture at the end or at a stop."""
    count = ledger.sweep.trials or 0
    parting = [key for key in ledger.space.keys if any(touches(key, other) for other in PARTING)]
    if parting:
        say(f"note: {', '.join(parting)} differ between trials: they are not scored on the same cases and structures")
    try:
        while _next_trial(plan, ledger, count, say=say):
            write_outcome(plan, ledger, picture=False)
    except (Interrupted, KeyboardInterrupt):
        write_outcome(plan, ledger, picture=True)
        say(f"the sweep in {plan.folder} goes on when the same command is given again")
        raise
    outcome = write_outcome(plan, ledger, picture=True)
    working = len(ledger.working())
    tell_outcome(outcome, monitor=plan.monitor, left=count - len(outcome.rows), working=working, say=say)
    return outcome


def _next_trial(plan: Plan, ledger: Ledger, count: int, *, say: Say) -> bool:
    """Whether there was a trial left; it is finished then."""
    with ledger.next(count) as claim:
        if claim is None:
            return False
        settings = "  ".join(f"{key}={shown(value)}" for key, value in claim.setting.items())
        say(f"trial {claim.slot}, {claim.slot + 1} of {count}: {settings}")
        run_trial(plan, ledger, claim, say=say)
        ended = ledger.frozen(claim)
    facts = ended.user_attrs["outcome"]
    score = f", {plan.monitor} {facts['score']:.4f} at epoch {facts['best_epoch']}" if "score" in facts else ""
    reason = f": {facts['reason']}" if facts.get("reason") else ""
    say(f"trial {claim.slot} is {_WORDS[ended.state.name]}{score}, {facts['seconds']:.0f} s{reason}")
    return True


_WORDS = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


def _settled(file: Path, overrides: Sequence[str], experiment: Experiment) -> SweepConfig:
    """The section with the numbers that it leaves open."""
    section = experiment.sweep
    if section is None:
        example = "sweep: {trials: 8, space: {optimizer.lr: {low: 1e-4, high: 1e-2, log: true}}}"
        where = read(file, overrides).where(())
        raise ConfigError([Fault(where, "sweep", f"is required and missing: what to try, such as {example}")])
    space = space_of(section)
    trials = section.trials or DEFAULT_TRIALS
    if section.trials is None and space.count is not None:
        trials = space.count if section.sampler == "grid" else min(trials, space.count)
    warmup, epochs = section.warmup_epochs, experiment.train.epochs
    if warmup is None and epochs is None and section.pruner != "none":
        message = "is required where train.minutes leaves the number of epochs open; or take sweep.pruner=none"
        raise ConfigError([Fault(read(file, overrides).where(("sweep",)), "sweep.warmup_epochs", message)])
    if warmup is None:
        warmup = (epochs or 0) // 4
    return section.model_copy(update={"trials": trials, "warmup_epochs": warmup})


def _split_sha256(file: Path, overrides: Sequence[str], experiment: Experiment) -> str:
    """The hash of the division of the patients. Raises ConfigError where there are none to validate on."""
    document = read(file, overrides)
    cohort, faults = cohort_faults(experiment)
    if cohort is not None and not faults:
        split = experiment.data.split.assign(cohort.cases, labels=experiment.task.strata(cohort))
        if split.part("val"):
            return split.sha256
        faults = [(("data", "split"), "has no val part, and a sweep compares trials on it: never on the test part")]
    raise ConfigError([document.fault(key, message) for key, message in faults])


@contextmanager
def _at_work(plan: Plan, section: SweepConfig, *, overwrite: bool) -> Iterator[None]:
    """Work on the folder beside others; one that is to be overwritten is removed while nobody does."""
    beside = plan.folder.with_name(f".{plan.folder.name}.lock")
    try:
        plan.folder.parent.mkdir(parents=True, exist_ok=True)
        beside.touch()
    except OSError as error:
        raise ConfigError(
            f"the sweep's folder {plan.folder} cannot be written: {error.strerror}; choose another with runs=FOLDER"
        ) from error
    if overwrite:
        with taken(beside) as free:
            if not free:
                raise ConfigError(f"--overwrite: another process works on {plan.folder}: stop it first")
            _remove(plan, section)
    with taken(beside, shared=True) as free:
        if not free:
            raise ConfigError(f"another process is just replacing {plan.folder}: give the command again")
        yield


def _remove(plan: Plan, section: SweepConfig) -> None:
    """Remove a sweep. Raises ConfigError for a folder that is not certainly one."""
    folder = plan.folder
    if folder.is_symlink() or (folder.exists() and not _is_sweep(folder)):
        raise ConfigError(f"--overwrite: {folder} is not the folder of a sweep: it is left as it is")
    if Path.cwd().is_relative_to(folder.resolve()):
        raise ConfigError(f"--overwrite: the command was started inside {folder}: it is left as it is")
    forget(folder, section)
    if folder.exists():
        shutil.rmtree(folder)


def _is_sweep(folder: Path) -> bool:
    file = folder / "sweep.yaml"
    return file.is_file() and file.read_bytes().startswith(HEADER.encode())


def _begin(folder: Path, facts: Mapping[str, Any], *, data: Mapping[str, Any]) -> None:
    """Write what the sweep is into its folder. Raises ConfigError where it holds another one, or something else."""
    if folder.exists() and any(folder.iterdir()) and not _is_sweep(folder):
        raise ConfigError(f"{folder} exists and is not the folder of a sweep: move it away, or take another name")
    if folder.exists() and _is_sweep(folder):
        refuse_changes(_flat(read(folder / "sweep.yaml").data), facts, folder)
    write_text(folder / "sweep.yaml", HEADER + dump(data))


def _facts(experiment: Experiment, section: SweepConfig) -> dict[str, Any]:
    """What must not change while a sweep lasts, by dotted key."""
    return _flat(_shared(experiment, section))


def _shared(experiment: Experiment, section: SweepConfig) -> dict[str, Any]:
    """The configuration that all trials share, with plugins by content, and without the password of a storage."""
    data = experiment.model_copy(update={"sweep": section}).model_dump(mode="json")
    data["plugins"] = {plugin.name: hashlib.sha256(plugin.read_bytes()).hexdigest() for plugin in experiment.plugins}
    if section.storage is not None:
        data["sweep"]["storage"] = PASSWORD.sub(r"\1:***@", section.storage)
    return data


def _flat(data: Any, key: str = "") -> dict[str, Any]:
    """Nested settings as dotted keys, without those that are free to change."""
    if key in FREE or data is None:
        return {}
    if not isinstance(data, dict):
        return {key: data}
    found: dict[str, Any] = {}
    for name, value in data.items():
        found |= _flat(value, f"{key}.{name}" if key else str(name))
    return found
