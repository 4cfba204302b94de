"""From a folder or file to a configuration: find the layout, look, choose, write."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hilum.case import Cohort
from hilum.data.splits.base import Split, SplitConfig
from hilum.errors import ConfigError
from hilum.formats.atomic import write_whole
from hilum.pipeline.proposal.choose import classes_task, masks_task, sections, split_entry
from hilum.pipeline.proposal.listing import listing
from hilum.pipeline.proposal.look import heads_of, look
from hilum.pipeline.proposal.machine import Machine
from hilum.pipeline.proposal.names import clean_name, run_name
from hilum.pipeline.proposal.origin import SHOWN, Origin, Wishes, described, find
from hilum.pipeline.proposal.whose import Whose, whose
from hilum.pipeline.proposal.write import Entry, yaml_text
from hilum.registry import parse
from hilum.sources.base import SourceConfig
from hilum.sources.layout_patients import UNKNOWN
from hilum.sources.patients import UNKNOWN as UNKNOWN_PATIENTS

Say = Callable[[str], None]
STDOUT = "-"
"""In place of a file: nothing is written."""


@dataclass(frozen=True)
class Proposal:
    """The text of a configuration, in a few lines what was found, and the files that were written.

    `patients` is the text of the table of patients that the configuration names, where it needs one of its own.
    """

    text: str
    found: tuple[str, ...]
    patients: str | None = None
    files: tuple[Path, ...] = ()


def new(
    data: Path | str,
    output: Path | str | None = None,
    *,
    wishes: Wishes | None = None,
    name: str | None = None,
    overwrite: bool = False,
    say: Say = print,
) -> Proposal:
    """A commented configuration for a folder or file of data, written into `output`.

    Without an output the file is NAME.yaml in the current folder; with "-" nothing is written. Raises ConfigError where
    the file exists, DataError saying what was found where no training set can be made of it.
    """
    if not str(data):
        raise ConfigError("received an empty path, expected a folder or file of data ('.' is the current folder)")
    data = Path(data)
    name = run_name(data) if name is None else name
    if name != clean_name(name):
        raise ConfigError(f"--name: received '{name}', expected letters, digits, '.', '_' and '-': it names a folder")
    file = None if output == STDOUT else Path(f"{name}.yaml" if output is None else output)
    table = file and file.with_name(f"{file.stem}_patients.csv")
    for path in (file, table):
        if path is not None and path.exists() and not overwrite:
            raise ConfigError(f"{path} exists: name another file with -o, or replace it with --overwrite")
    if file is not None:
        _refuse_unwritable(file)
    proposal = propose(data, wishes or Wishes(), name=name, table=table, machine=Machine.here(), say=say)
    texts = {file: proposal.text, **({table: proposal.patients} if proposal.patients is not None else {})}
    written = [(path, text) for path, text in texts.items() if path is not None]
    for path, text in reversed(written):  # the configuration last: it names the table
        write_whole(path, text.encode())
    return replace(proposal, files=tuple(path for path, _ in written))


def _refuse_unwritable(file: Path) -> None:
    """Raise ConfigError, before anything is looked at, where the file could not be written."""
    folder = next(path for path in file.absolute().parents if path.exists())
    if not folder.is_dir():
        raise ConfigError(f"{file} cannot be written: {folder} is no folder")
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"{file} cannot be written: {folder} is read-only; name another file with -o")


def propose(data: Path, wishes: Wishes, *, name: str, table: Path | None, machine: Machine, say: Say) -> Proposal:
    """The configuration for a data set; `table` is the name that a table of patients would be written under.

    Raises DataError saying what was found where none can be made of it.
    """
    origin = find(data, wishes)
    say(f"{data}: {origin.layout.evidence}")
    cohort = _cohort(origin)
    heads, unreadable = heads_of(cohort, say=say)
    owned = whose(origin, cohort, heads, table=table)
    cohort = _owned(cohort, owned)
    division = split_entry(cohort)
    survey = look(origin.task, cohort, _split(division, cohort), heads=heads, title=run_name(data), say=say)
    survey = replace(survey, faults=(*unreadable, *survey.faults))
    task = masks_task(survey, origin.layout) if survey.task == "segmentation" else classes_task(survey, origin.layout)
    source = Entry("source", owned.origin.layout.source, owned.why)
    found = (*listing(survey), *_open(origin))
    heading = [
        f"Written by `hilum new {data}`. Every choice has its reason beside it, and rests on the training part alone.",
        f"  {origin.layout.evidence}",
        *(f"  {line}" for line in found),
    ]
    entries = sections(survey, source, division, task, name=name, machine=machine)
    return Proposal(yaml_text("\n".join(heading), entries), found, owned.table)


def _owned(cohort: Cohort, owned: Whose) -> Cohort:
    """The cohort with the patients that were found."""
    if owned.patients is None:
        return cohort
    cases = tuple(replace(case, patient=owned.patients[case.id]) for case in cohort.cases)
    return replace(cohort, cases=cases, notes=tuple(note for note in cohort.notes if note != UNKNOWN_PATIENTS))


def _open(origin: Origin) -> list[str]:
    """What the user may want to say otherwise."""
    doubts = [f"not certain: {doubt}" for doubt in origin.layout.doubts if doubt != UNKNOWN]
    if origin.guessed_patients:
        doubts.append("not certain: whose scans they are; say so with --patients")
    return doubts + [f"it could also be read as {described(other)}" for other in origin.others[:SHOWN]]


def _cohort(origin: Origin) -> Cohort:
    config = parse("sources", origin.layout.source)
    if not isinstance(config, SourceConfig):
        raise AssertionError("a source is a source")
    return config.cohort(origin.task)


def _split(division: Entry, cohort: Cohort) -> Split:
    config = parse("splits", division.value)
    if not isinstance(config, SplitConfig):
        raise AssertionError("a split is a split")
    return config.assign(cohort.cases, labels=cohort.labels)
