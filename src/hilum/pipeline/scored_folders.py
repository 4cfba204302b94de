"""Reads back what was scored: a run, a cross-validation, or the outputs of another tool, and what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hilum.config import read, validate
from hilum.errors import CheckpointError, ConfigError, DataError, nearest
from hilum.evaluation.pairing import Scored, distinct_cases
from hilum.evaluation.rows import Row, read_rows
from hilum.evaluation.section import EvaluateConfig
from hilum.experiment import load
from hilum.metrics.base import MetricConfig
from hilum.pipeline.crossvalidation import is_crossval
from hilum.pipeline.external_section import SCORING_NAME, ScoringConfig
from hilum.problem import Problem
from hilum.registry import load_plugins
from hilum.run import Run

OF_ONE_PART = ("predictions", "external")
"""Parts that are all that there is in a folder: outputs of another tool, and other data than those of a run."""


@dataclass(frozen=True)
class ScoredFolder:
    """A folder with cases.csv, and what its rows are about."""

    folder: Path
    rows: tuple[Row, ...]
    problem: Problem
    metrics: tuple[MetricConfig, ...]
    evaluate: EvaluateConfig

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that have rows, in their order."""
        return tuple(dict.fromkeys(str(row["part"]) for row in self.rows))

    @property
    def whole(self) -> bool:
        """Whether all rows are of what is no part of a split: they are compared with any part of another folder."""
        return len(self.parts) == 1 and self.parts[0] in OF_ONE_PART

    def part(self, name: str) -> Scored:
        """The rows of a part, or all where they are no part of a split; cases that are scored again are told apart."""
        rows = distinct_cases([row for row in self.rows if self.whole or row["part"] == name])
        return Scored(str(self.folder), tuple(rows), self.problem, self.metrics)


def read_scored(folder: Path) -> ScoredFolder:
    """What lies in a run folder, a cross-validation, or the folder that `hilum evaluate` made of other data or outputs.

    Raises CheckpointError for another folder, and where nothing was scored yet.
    """
    config = _config_of(folder)
    if config.name == SCORING_NAME:
        scoring = read_scoring(config)
        problem, metrics, section = problem_of(scoring), scoring.metrics, scoring.evaluate
    else:
        experiment = load(config)
        problem, metrics, section = experiment.provisional_problem(), experiment.metrics, experiment.evaluate
    cases = Run(folder).cases
    if not cases.is_file():
        raise CheckpointError(f"{folder} has no cases.csv: nothing was scored there yet: use hilum evaluate")
    rows = read_rows(cases)
    if not rows:
        raise DataError(f"{cases} has no rows, expected at least one")
    return ScoredFolder(folder, tuple(rows), problem, metrics, section)


def read_scoring(file: Path) -> ScoringConfig:
    """How the outputs of another tool were scored. Raises ConfigError where the file is damaged."""
    document = read(file)
    faults = load_plugins(document)
    document.data.pop("plugins", None)
    reading = validate(document, ScoringConfig)
    faults += reading.faults
    if faults or reading.model is None:
        raise ConfigError(faults)
    return reading.model


def problem_of(scoring: ScoringConfig) -> Problem:
    """The problem as the classes alone tell it."""
    return scoring.task.problem(channels=("image",), dims=3, size=None)


def _config_of(folder: Path) -> Path:
    """The file that says what the rows of a folder are about."""
    if is_crossval(folder):
        first = next(iter(sorted(folder.glob("*/config.yaml"))), None)
        if first is not None:
            return first
    for name in ("config.yaml", SCORING_NAME):
        if (folder / name).is_file():
            return folder / name
    there = sorted(
        file.parent.name for name in ("config.yaml", SCORING_NAME) for file in folder.parent.glob(f"*/{name}")
    )
    close = nearest(folder.name, there)
    hint = f"; did you mean '{close}'?" if close else ""
    what = "holds no scores" if folder.is_dir() else "there is no such folder"
    raise CheckpointError(f"{folder}: {what}; expected a run, a cross-validation or scored predictions{hint}")
