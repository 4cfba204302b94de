"""`hilum crossval`: every fold a run of its own, shared among processes, and one result of all patients out of fold."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilum.case import Cohort
from hilum.config import read
from hilum.data.splits.base import Part, SplitConfig
from hilum.errors import ConfigError, HilumError, nearest, number_of
from hilum.evaluation.summary import overall
from hilum.evaluation.table import table
from hilum.experiment import Experiment, cohort_faults, load
from hilum.pipeline.evaluation import evaluate
from hilum.pipeline.pooling import pool
from hilum.pipeline.sweeping.locks import taken, waiting_for
from hilum.pipeline.sweeping.space import overrides_of
from hilum.pipeline.training import refuse_faults, resume, train
from hilum.run import Run, create, write_text
from hilum.runtime import runs_on_main_rank
from hilum.training.interrupt import Interrupted
from hilum.yaml_text import dump

HEADER = "# A cross-validation: the configuration that its folds share.\n"
"""First line of a cross-validation's crossval.yaml: no other file begins with it."""
CONFIG_NAME = "crossval.yaml"
FREE = ("runs", "data.cache", "data.cache_gb", "data.memory_gb", "data.workers", "runtime.threads", "evaluate")
"""Keys that may change between two calls, since no network depends on them."""
OF_ONE_FOLD = ("fold", "repeat", "outer", "inner", "group")
"""Keys of data.split that tell one fold from the others."""
SUGGESTION = "take one with folds, such as {kind: kfold, folds: 5}, repeated_kfold, nested or leave_one_group_out"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Fold:
    """One run of a cross-validation: its name, and what makes the shared configuration its own."""

    name: str
    run: Run
    overrides: tuple[str, ...]

    @property
    def trained(self) -> bool:
        """Whether its training has ended."""
        return "finished" in self.run.read_json(self.run.provenance)

    def scored(self, part: Part) -> bool:
        """Whether it has rows of the part that it is scored on."""
        return self.trained and self.run.cases.exists() and bool(self.run.read_rows(part))


def crossval(
    config_file: Path | str,
    overrides: Sequence[str] = (),
    *,
    folds: Sequence[str] = (),
    overwrite: bool = False,
    say: Say = print,
) -> dict[str, Any] | None:
    """The summary of all patients, each scored by the network that has not seen them; None while folds are left.

    Trains every fold of data.split, or those named in `folds`, as the runs RUNS/NAME/FOLD, scores each on its test part
    (its val part where no fold has one), and pools the rows in RUNS/NAME. What was begun before is continued; other
    processes that are given the same command share the folds. Raises ConfigError, DataError or SplitError before any
    compute, and what `train` and `evaluate` raise: the same call then goes on.
    """
    file = Path(config_file)
    experiment = load(file, overrides)
    cohort, splits, part = _folds_of(file, overrides, experiment)
    folder = experiment.runs / experiment.name
    everything = _named(folder, splits, tuple(overrides))
    chosen = _chosen(everything, folds)
    if overwrite and folder.exists():
        refuse_faults(file, chosen[0].overrides)  # while the old folds are still there
    with _at_work(folder, everything, overwrite=overwrite):
        if runs_on_main_rank():
            with waiting_for(folder.with_name(f".{folder.name}.begin.lock")):
                _begin(folder, experiment)
        try:
            _work(file, chosen, part, say=say)
        except (Interrupted, KeyboardInterrupt):
            say(f"the cross-validation in {folder} goes on when the same command is given again")
            raise
        left = [fold.name for fold in everything if not fold.scored(part)]
        if not runs_on_main_rank():
            return None
        if left:
            say(f"{number_of(len(left), 'fold')} of {len(everything)} left: {', '.join(left)}; who ends last, pools")
            return None
        return _pooled(folder, everything, part, experiment=experiment, notes=cohort.notes, say=say)


def _folds_of(
    file: Path, overrides: Sequence[str], experiment: Experiment
) -> tuple[Cohort, tuple[SplitConfig, ...], Part]:
    """The cohort, the split of each fold, and the part that folds are scored on.

    Raises ConfigError with everything that does not fit, before anything is trained.
    """
    document = read(file, overrides)
    cohort, faults = cohort_faults(experiment, divide=False)
    if cohort is None or faults:
        raise ConfigError([document.fault(where, message) for where, message in faults])
    try:
        splits = experiment.data.split.runs(cohort.cases)
        strata = experiment.task.strata(cohort)
        divided = [one.assign(cohort.cases, labels=strata) for one in splits] if len(splits) > 1 else []
    except HilumError as error:
        raise ConfigError([document.fault(("data", "split"), str(error))]) from error
    if len(splits) < 2:
        message = f"'{experiment.data.split.kind}' has one division and no folds: {SUGGESTION}"
        raise ConfigError([document.fault(("data", "split"), message)])
    parts: tuple[Part, ...] = ("test", "val")
    part = next((name for name in parts if all(split.part(name) for split in divided)), None)
    if part is None:
        message = "some folds have no test part and some have no val part: there is nothing to score all of them on"
        raise ConfigError([document.fault(("data", "split"), message)])
    return cohort, splits, part


def _named(folder: Path, splits: Sequence[SplitConfig], overrides: tuple[str, ...]) -> list[Fold]:
    """The folds as runs of their own, under names that folders can have."""
    folds: dict[str, Fold] = {}
    for number, split in enumerate(splits):
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", split.run_name).strip("-.") or f"fold-{number}"
        name = name if name not in folds else f"{name}-{number}"
        settings = {key: value for key, value in split.model_dump(mode="json").items() if value is not None}
        own = overrides_of({"data.split": settings, "name": name, "runs": str(folder), "sweep": None})
        folds[name] = Fold(name, Run(folder / name), (*overrides, *own))
    return list(folds.values())


def _chosen(folds: Sequence[Fold], wanted: Sequence[str]) -> list[Fold]:
    """The folds that were asked for, by number or name; all where none were. Raises ConfigError for an unknown one."""
    by_name = {fold.name: fold for fold in folds} | {str(number): fold for number, fold in enumerate(folds)}
    for word in wanted:
        if word not in by_name:
            close = nearest(word, by_name)
            hint = f"; did you mean '{close}'?" if close else ""
            raise ConfigError(
                f"--folds: received '{word}', expected numbers from 0 to {len(folds) - 1} or names such as "
                f"{folds[0].name}, with commas between them{hint}"
            )
    return [by_name[word] for word in dict.fromkeys(wanted)] or list(folds)


@contextmanager
def _at_work(folder: Path, folds: Sequence[Fold], *, overwrite: bool) -> Iterator[None]:
    """Work on the folder beside others; what is to be overwritten is removed while nobody does."""
    beside = folder.with_name(f".{folder.name}.crossval.lock")
    try:
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.touch()
    except OSError as error:
        raise ConfigError(
            f"the folder {folder} cannot be written: {error.strerror}; choose another with runs=FOLDER"
        ) from error
    if overwrite and _ranks() > 1:
        raise ConfigError(f"--overwrite: not under torchrun: remove {folder} yourself, or take another name (name=...)")
    if overwrite:
        with taken(beside) as free:
            if not free:
                raise ConfigError(f"--overwrite: another process works on {folder}: stop it first")
            _empty(folder, folds)
    with taken(beside, shared=True) as free:
        if not free:
            raise ConfigError(f"another process is just replacing {folder}: give the command again")
        yield


def _empty(folder: Path, folds: Sequence[Fold]) -> None:
    """Remove what a cross-validation has made; its folds hand on their ledgers of looks at the test part.

    Raises ConfigError for a folder that is not certainly one.
    """
    if folder.exists() and not is_crossval(folder):
        raise ConfigError(f"--overwrite: {folder} is not the folder of a cross-validation: it is left as it is")
    for fold in folds:
        if fold.run.folder.exists():
            create(fold.run.folder, overwrite=True)
    for name in (CONFIG_NAME, "cases.csv", "patients.csv", "summary.json", "report.html"):
        (folder / name).unlink(missing_ok=True)
    for name in ("figures", "tensorboard"):
        shutil.rmtree(folder / name, ignore_errors=True)


def is_crossval(folder: Path) -> bool:
    """Whether a folder is that of a cross-validation."""
    file = folder / CONFIG_NAME
    return file.is_file() and file.read_bytes().startswith(HEADER.encode())


def _begin(folder: Path, experiment: Experiment) -> None:
    """Write what the folds share into the folder. Raises ConfigError where it holds something else, or other folds."""
    plugins = {plugin.name: hashlib.sha256(plugin.read_bytes()).hexdigest() for plugin in experiment.plugins}
    data = experiment.model_dump(mode="json") | {"plugins": plugins}
    data["data"]["split"] = {key: value for key, value in data["data"]["split"].items() if key not in OF_ONE_FOLD}
    there = [one for one in folder.iterdir() if not one.name.startswith(".")] if folder.exists() else []
    if is_crossval(folder):
        before, now = (_flat(one) for one in (read(folder / CONFIG_NAME).data, data))
        changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        if changed:
            said = "; ".join(f"{key}: was {before.get(key)}, is {now.get(key)}" for key in changed[:3])
            raise ConfigError(
                f"the cross-validation in {folder} was begun with other settings ({said}): take them back, take "
                "another name (name=...), or begin again with --overwrite, which removes its folds"
            )
    elif not all((one / "checkpoints").is_dir() for one in there):  # folds that were emptied to be overwritten
        raise ConfigError(f"{folder} exists and is no cross-validation: move it away, or take another name=...")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / CONFIG_NAME, HEADER + dump(data))


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


def _work(file: Path, folds: Sequence[Fold], part: Part, *, say: Say) -> None:
    """Train and score the folds, those that no other process is at, until none is left that could be taken."""
    if _ranks() > 1:  # they train each fold together, in the same order
        for fold in folds:
            _run(file, fold, part, say=say)
        return
    while any(_taken(file, fold, part, say=say) for fold in folds):
        pass


def _ranks() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _taken(file: Path, fold: Fold, part: Part, *, say: Say) -> bool:
    """Whether there was something left to do for a fold that nobody else is at; it is done then."""
    with taken(fold.run.folder.with_name(f".{fold.name}.claim.lock")) as free:
        if not free or fold.scored(part):
            return False
        _run(file, fold, part, say=say)
        return True


def _run(file: Path, fold: Fold, part: Part, *, say: Say) -> None:
    """Train a fold to its end, or from where it stopped, and score it, where that is not done yet."""
    main = runs_on_main_rank()
    if not fold.trained:
        begun = fold.run.provenance.exists()
        if main:
            say(f"{fold.name}: {'going on' if begun else 'training'}")
        if begun:
            resume(fold.run.folder, say=say)
        else:
            train(file, fold.overrides, say=say)
    if main and not fold.scored(part):
        summary = evaluate(fold.run.folder, part=part, say=_unheard)
        scores = ", ".join(f"{name} {value:.4f}" for name, value in list(overall(summary).items())[:3])
        say(f"{fold.name}: {number_of(summary['patients'], 'patient')} of its {part} part: {scores}")


def _unheard(line: str) -> None:
    """Nothing: the table of one fold is not what was asked for."""


def _pooled(
    folder: Path, folds: Sequence[Fold], part: Part, *, experiment: Experiment, notes: Sequence[str], say: Say
) -> dict[str, Any]:
    """Pool the folds, all of which are there, and print the table."""
    with waiting_for(folder / ".pool.lock"):
        named = [(fold.name, fold.run) for fold in folds]
        summary = pool(folder, named, part, experiment=experiment, notes=notes)
    for line in table(summary):
        say(line)
    say(f"{folder / 'cases.csv'}: every case out of fold; {folder / 'summary.json'}: scores, and those of each fold")
    return summary
