"""What the files of a run hold, and which of them are missing or damaged: the page says so and goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hilum.config import read as read_config
from hilum.data.splits.base import COLUMNS, read_split_table
from hilum.errors import HilumError
from hilum.evaluation.ledger import LEDGER_NAME, Look, read_looks
from hilum.evaluation.rows import Row, read_rows
from hilum.run import Run
from hilum.tracking import jsonl

Content = TypeVar("Content")


@dataclass(frozen=True)
class RunFiles:
    """The content of a run folder; empty where a file is not there, which `lacking` says in sentences."""

    folder: Path
    config_text: str
    config: Mapping[str, Any]
    summaries: Mapping[str, Any]
    """By part."""
    rows: Sequence[Row]
    log: Sequence[Mapping[str, Any]]
    provenance: Mapping[str, Any]
    split: Sequence[Mapping[str, str]]
    looks: Sequence[Look]
    spoilt: Sequence[Mapping[str, Any]]
    lacking: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the run is called."""
        return str(self.config.get("name") or self.folder.resolve().name)


def read_files(folder: Path) -> RunFiles:
    """Everything that the folder of a run holds for its page."""
    run = Run(folder)
    lacking: list[str] = []

    def content(
        file: Path, read: Callable[[Path], Content], empty: Content, *, lost: str, needed: bool = True
    ) -> Content:
        if not file.exists():
            lacking.extend([f"{file.name} is missing: {lost}"] if needed else [])
            return empty
        try:
            return read(file)
        except (HilumError, OSError, TypeError, ValueError) as error:
            lacking.append(f"{file.name} cannot be read: {lost} ({error})")
            return empty

    return RunFiles(
        folder=folder,
        config_text=content(run.config, _text, "", lost="no settings, and nothing about the task"),
        config=content(run.config, _settings, {}, lost="nothing about the task", needed=False),
        summaries=content(run.summary, run.read_json, {}, lost="no scores; `hilum evaluate` writes them"),
        rows=content(run.cases, _rows, (), lost="no charts of single cases; `hilum evaluate` writes it"),
        log=content(run.log, _lines, (), lost="no learning curves"),
        provenance=content(run.provenance, run.read_json, {}, lost="where the run comes from is not known"),
        split=content(run.split, _split, (), lost="who is in which part is not known"),
        looks=content(folder / LEDGER_NAME, _looks, (), lost="looks at the test part are not known", needed=False),
        spoilt=content(run.spoilt, _lines, (), lost="which steps were spoilt is not known", needed=False),
        lacking=tuple(lacking),
    )


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _settings(file: Path) -> Mapping[str, Any]:
    return read_config(file).data


def _rows(file: Path) -> Sequence[Row]:
    return read_rows(file)


def _lines(file: Path) -> Sequence[Mapping[str, Any]]:
    return jsonl.read(file)


def _split(file: Path) -> Sequence[Mapping[str, str]]:
    return read_split_table(file, COLUMNS).rows


def _looks(file: Path) -> Sequence[Look]:
    return read_looks(file)
