"""Scores a trained network on another data set, of which neither training nor any choice has seen a patient."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hilum.case import Cohort
from hilum.config import read
from hilum.data.findings import arranged, severe
from hilum.data.labels import label_faults
from hilum.data.seen import read_seen, seen_before
from hilum.errors import ConfigError, DataError, SplitError
from hilum.experiment import Experiment
from hilum.pipeline.external_section import DATA_NAME, SCORING_NAME, OtherSource, OtherTask
from hilum.pipeline.look import look_at_headers, look_at_voxels
from hilum.pipeline.restore import config_sha256, restore
from hilum.pipeline.scored_part import ScoredPart
from hilum.problem import Problem
from hilum.registry import load_plugins
from hilum.run import Run, write_text
from hilum.sources.base import SourceConfig, cohort_for
from hilum.yaml_text import Document, dump

Say = Callable[[str], None]
PART = "external"
"""What stands in the column `part` of such rows."""
TAKE_OUT = "take the case out: an external validation is about patients whom the network has not seen"


def evaluate_external(run: Run, file: Path, *, overrides: Sequence[str] = (), say: Say = print) -> dict[str, Any]:
    """The summary of another data set, after writing its tables and pictures into RUN/external/NAME.

    `file` is a YAML file with a section data.source, which overrides may change; NAME is its name without suffix. Every
    case is scored, whatever its part. The look is written into the run's ledger under its own name, not under that of
    the test part. Raises ConfigError where the file does not fit the network's classes or channels, DataError for cases
    that cannot be used and for images that the network has seen.
    """
    of_data, of_run = divided(overrides)
    restored = restore(run, of_run)
    cohort, source = other_cohort(read(file, of_data), restored.problem)
    _refuse_unusable(cohort, restored.experiment)
    notes = [
        f"external data: {file}, every case of it",
        *cohort.notes,
        *_refuse_seen(run, cohort, cache=restored.experiment.data.cache),
        *restored.notes,
    ]
    if of_run:
        notes.append(f"scored with other settings than those of the run: {' '.join(of_run)}")
    home = Run(folder_of(run.folder, file))
    name = home.folder.name
    home.folder.mkdir(parents=True, exist_ok=True)
    _write_sections(home, restored.experiment, source)
    predictor = restored.predictor(restored.experiment.runtime.start(alone=True))
    scored = ScoredPart(home, PART, cohort.cases, cohort, restored, predictor)
    rows = scored.rows()
    looks = run.record_look(
        f"{PART} {name}",
        config_sha256=config_sha256(run, of_run),
        checkpoint_sha256=restored.weights_sha256,
        scores=scored.scores(rows),
        overrides=of_run,
    )
    times = "once" if looks == 1 else f"{looks} times"
    notes.append(f"these data have been looked at {times} with this run")
    summary = scored.settle(rows, notes=notes, say=say)
    say(f"written into {home.folder}; the run's own parts are as they were")
    return summary


def divided(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Overrides that say where the other data are, and those that are about the run."""
    of_data = [text for text in overrides if text.startswith("data.source")]
    return of_data, [text for text in overrides if text not in of_data]


def folder_of(run: Path, file: Path) -> Path:
    """Where the scores of the data of a YAML file go."""
    return run / PART / re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem)


def _write_sections(home: Run, experiment: Experiment, source: SourceConfig) -> None:
    """Write where the cases are and how they are scored beside their tables, for comparisons and pictures of cases."""
    task, metrics = experiment.task.model_dump(mode="json"), [one.model_dump(mode="json") for one in experiment.metrics]
    scoring = {"task": task, "metrics": metrics, "evaluate": experiment.evaluate.model_dump(mode="json")}
    write_text(home.folder / SCORING_NAME, dump(scoring))
    write_text(home.folder / DATA_NAME, dump({"data": {"source": source.model_dump(mode="json")}}))


def other_cohort(document: Document, problem: Problem) -> tuple[Cohort, SourceConfig]:
    """The cases of the file's source, whose channels and classes fit the network, and that source.

    Raises ConfigError where they do not fit, DataError for cases that cannot be used.
    """
    faults = load_plugins(document)
    if faults:
        raise ConfigError(faults)
    section = document.data.get("data")
    source = section.get("source") if isinstance(section, dict) else None
    if source is None:
        raise ConfigError([document.fault(("data", "source"), "is required and missing: where the other cases are")])
    if "task" in document.data:
        _refuse_other_task(document, problem)
    where = _source(document, source)
    cohort = cohort_for(where, problem)
    received, expected = ", ".join(cohort.channels), ", ".join(problem.channels)
    several = len(problem.channels) > 1 and cohort.channels != problem.channels
    if len(cohort.channels) != len(problem.channels) or several:
        message = f"received the channels {received}, the network was trained with {expected}"
        raise ConfigError([document.fault(("data", "source"), message)])
    for _, message in label_faults(cohort, problem):
        raise DataError(message)
    return cohort, where


def _source(document: Document, source: object) -> SourceConfig:
    try:
        return OtherSource.model_validate({"source": source}).source
    except ValidationError as error:
        items = error.errors(include_url=False)
        raise ConfigError([document.fault(("data", *item["loc"]), item["msg"]) for item in items]) from error


def _refuse_other_task(document: Document, problem: Problem) -> None:
    """Raise ConfigError where the file means other classes than the network was trained for."""
    try:
        task = OtherTask.model_validate({"task": document.data["task"]}).task
    except ValidationError as error:
        items = error.errors(include_url=False)
        raise ConfigError([document.fault(item["loc"], item["msg"]) for item in items]) from error
    other = task.problem(channels=("image",), dims=problem.dims, size=None)
    if (other.kind, other.described()) != (problem.kind, problem.described()):
        message = (
            f"received {other.kind} of {other.described()}, the network was trained for {problem.kind} of "
            f"{problem.described()}: leave the section out, or write the labels of the data in the network's way"
        )
        raise ConfigError([document.fault(("task",), message)])


def _refuse_unusable(cohort: Cohort, experiment: Experiment) -> None:
    """Raise DataError with everything that is wrong with any case, before the network sees the first."""
    index = look_at_headers(experiment, cohort)
    found = [*index.findings, *look_at_voxels(experiment, index.readable(cohort.cases))]
    if wrong := severe(arranged(found)):
        raise DataError(wrong)


def _refuse_seen(run: Run, cohort: Cohort, *, cache: Path | None) -> list[str]:
    """A note on ids that the training data have too. Raises DataError for images that the network has seen."""
    seen = read_seen(run.seen, sha256=run.read_json(run.provenance).get("seen_sha256"))
    findings = seen_before(cohort.cases, seen, cache=cache)
    same = [finding for finding in findings if finding.received.startswith("the voxels")]
    if same:
        raise DataError([replace(finding, fix=TAKE_OUT) for finding in same])
    if not findings:
        return []
    return [f"{len(findings)} cases have ids that the run's own data have too; their images are others"]


def refuse_part(part: str | None) -> None:
    """Raise SplitError where a part is asked for, since all cases of other data are scored."""
    if part is not None:
        raise SplitError(f"--data scores every case of the other data: remove --part {part}")
