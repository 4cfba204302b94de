"""The cases that can be looked at, whose they are, what they scored, and where their predictions come from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hilum.case import Case, ImageRef
from hilum.errors import CheckpointError, DataError
from hilum.evaluation.rows import PROBABILITY_PREFIX, Row
from hilum.formats.reading import is_image, stem
from hilum.inference.predictor import Predictor
from hilum.pipeline.predicting.merge import rows_of
from hilum.problem import Problem

RESULTS = "results.csv"
FLAGS, REASONS = "flags", "flag_reasons"
"""The columns of a batch's table that say for what a person should look at a case, and why."""
BETWEEN_FLAGS = re.compile(r"\s*[;|]\s*")


@dataclass(frozen=True)
class Score:
    """What cases are ordered by: its column in the rows, what the page calls it, and which end is better."""

    column: str
    name: str
    better: str


@dataclass(frozen=True)
class Viewed:
    """One case with what is known of it; `mask` is its prediction where that is a file."""

    case: Case
    part: str = ""
    rows: tuple[Row, ...] = ()
    mask: ImageRef | None = None
    row: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The case's row of results.csv."""

    def score(self, by: Score | None) -> float | None:
        """The mean of a score over the structures of the case, or the probability of its true class."""
        if by is None or not self.rows:
            return None
        if "truth" in self.rows[0]:
            return _number(self.rows[0].get(f"{PROBABILITY_PREFIX}{self.rows[0]['truth']}"))
        values = [_number(row.get(by.column)) for row in self.rows]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known and len(known) == len(values) else None

    @property
    def flags(self) -> tuple[str, ...]:
        """The review flags of the case, one by one."""
        return _parted(self.row.get(FLAGS, ""))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the case was flagged."""
        return _parted(self.row.get(REASONS, ""))

    @property
    def predicted(self) -> str:
        """The class that was told; empty for a segmentation."""
        told = self.rows[0].get("predicted") if self.rows else self.row.get("predicted")
        return "" if told is None else str(told)

    @property
    def shares(self) -> dict[str, float]:
        """The probability of each class; empty for a segmentation."""
        known: Mapping[str, object] = self.rows[0] if self.rows else self.row
        return {
            name.removeprefix(PROBABILITY_PREFIX): value
            for name, cell in known.items()
            if name.startswith(PROBABILITY_PREFIX) and (value := _number(cell)) is not None
        }


@dataclass(frozen=True)
class Gathered:
    """All cases of a folder, their classes, and the network that predicts those without a prediction, if any."""

    name: str
    about: str
    problem: Problem
    cases: tuple[Viewed, ...]
    part: str = "all"
    """The part that is shown first."""
    score: Score | None = None
    columns: tuple[str, ...] = ()
    """Scores of each structure that are shown beside a case."""
    network: Callable[[], Predictor] | None = None
    lacking: Mapping[str, str] = field(default_factory=dict)
    """Why there is no truth, no prediction or no score."""


def predicted_files(folder: Path, cases: Sequence[Case]) -> dict[str, tuple[ImageRef | None, Mapping[str, str]]]:
    """The prediction and the row of each case id, from results.csv in a folder, else from the names of its files.

    Raises DataError where the folder is not there, or holds nothing of these cases.
    """
    if not folder.is_dir():
        raise DataError(f"--predictions {folder}: no such folder; expected one that hilum predict wrote")
    rows = {row["case_id"]: row for row in read_results(folder)}
    if rows:
        found = {name: (_mask(folder, row), row) for name, row in rows.items()}
    else:
        files = {stem(file): file for file in sorted(folder.iterdir()) if file.is_file() and is_image(file)}
        found = {case.id: (ImageRef(files[case.id]), {}) for case in cases if case.id in files}
    shared = {case.id for case in cases} & set(found)
    if not shared:
        named = ", ".join(case.id for case in cases[:3])
        raise DataError(f"--predictions {folder}: it holds no prediction of these cases, such as {named}")
    return {name: found[name] for name in shared}


def read_results(folder: Path) -> list[Mapping[str, str]]:
    """The rows of results.csv in a folder; none where it is not there."""
    return [{key: str(cell) for key, cell in row.items()} for row in rows_of(folder / RESULTS)]


def refuse_other_folder(folder: Path) -> CheckpointError:
    """What to say of a folder that can neither be viewed as a run nor as predictions."""
    folds = sorted(file.parent.name for file in folder.glob("*/config.yaml"))
    if folds:
        return CheckpointError(f"{folder} holds several runs: view one of them, such as {folder / folds[0]}")
    what = "it holds neither a run nor predictions" if folder.is_dir() else "there is no such folder"
    return CheckpointError(f"{folder}: {what}; expected a run folder, or one that hilum predict wrote")


def _mask(folder: Path, row: Mapping[str, str]) -> ImageRef | None:
    file = folder / Path(row.get("output", "")).name  # a table must not lead out of its folder
    return ImageRef(file) if row.get("output") and file.is_file() else None


def _parted(cell: str) -> tuple[str, ...]:
    return tuple(flag for flag in BETWEEN_FLAGS.split(cell.strip()) if flag)


def _number(cell: object) -> float | None:
    try:
        value = float(str(cell))
    except ValueError:
        return None
    return value if np.isfinite(value) else None
