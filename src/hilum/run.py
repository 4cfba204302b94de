"""The run folder: its layout, and the only code that writes into it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hilum.errors import CheckpointError, ConfigError, DataError, nearest
from hilum.evaluation.ledger import LEDGER_NAME, record_look
from hilum.evaluation.rows import Row, read_rows, write_rows
from hilum.formats.atomic import write_whole
from hilum.tracking import jsonl
from hilum.training import checkpoint
from hilum.yaml_text import dump

RESOLVED = "# The resolved configuration: every default written out. Loading it gives the same experiment.\n"
"""First line of a run's config.yaml: no other file begins with it."""


@dataclass(frozen=True)
class Run:
    """A run folder and the names of what lies in it."""

    folder: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.folder / "config.yaml"

    @property
    def provenance(self) -> Path:
        """Versions, device, seed, hashes and lineage."""
        return self.folder / "provenance.json"

    @property
    def split(self) -> Path:
        """The division of the patients."""
        return self.folder / "split.csv"

    @property
    def seen(self) -> Path:
        """The images that the network has seen, by the hash of their voxels."""
        return self.folder / "seen.csv"

    @property
    def log(self) -> Path:
        """One line an epoch."""
        return self.folder / "log.jsonl"

    @property
    def tensorboard(self) -> Path:
        """Event files for TensorBoard."""
        return self.folder / "tensorboard"

    @property
    def cases(self) -> Path:
        """One row a case and class: the only source of every score."""
        return self.folder / "cases.csv"

    @property
    def summary(self) -> Path:
        """Means, intervals and misses by part."""
        return self.folder / "summary.json"

    @property
    def postprocess(self) -> Path:
        """The post-processing that was chosen on the validation patients, and what else was tried."""
        return self.folder / "postprocess.json"

    @property
    def calibration(self) -> Path:
        """The temperature and the operating points that were chosen on the validation patients."""
        return self.folder / "calibration.json"

    @property
    def fingerprint(self) -> Path:
        """What the training part was like, and how sure the network is of the validation part."""
        return self.folder / "fingerprint.json"

    @property
    def patients(self) -> Path:
        """One row a patient of a classification, made from the rows of the patient's cases."""
        return self.folder / "patients.csv"

    def checkpoint(self, name: str) -> Path:
        """The checkpoint `best`, `last` or `previous`."""
        return self.folder / "checkpoints" / f"{name}.pt"

    @property
    def spoilt(self) -> Path:
        """Steps whose loss or gradient was NaN or infinite, and the cases of their batches."""
        return self.folder / "spoilt_steps.jsonl"

    @property
    def scored_checkpoint(self) -> Path:
        """The best checkpoint on validation, or the last one where nothing was validated."""
        best = self.checkpoint("best")
        return best if best.exists() else self.checkpoint("last")

    def write_config(self, data: Mapping[str, Any]) -> None:
        """Write the resolved configuration."""
        write_text(self.config, RESOLVED + dump(data))

    def write_json(self, file: Path, content: Mapping[str, Any]) -> None:
        """Write a JSON file of the run."""
        write_text(file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def read_json(self, file: Path) -> dict[str, Any]:
        """A JSON file of the run; empty where it does not exist yet."""
        try:
            content = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        except ValueError as error:
            raise CheckpointError(f"{file} is damaged ({error}): bring it back from a copy, or remove it") from error
        return dict(content)

    def write_split(self, table: str) -> None:
        """Write the division of the patients."""
        write_text(self.split, table)

    def write_seen(self, table: str) -> None:
        """Write which images the network sees."""
        write_text(self.seen, table)

    def record(self, entry: Mapping[str, Any]) -> None:
        """Add an epoch to the log."""
        jsonl.append(self.log, entry)

    def record_spoilt(self, entry: Mapping[str, Any]) -> None:
        """Add a spoilt step to their list."""
        jsonl.append(self.spoilt, entry)

    def forget_after(self, epoch: int, step: int) -> None:
        """Take epochs from `epoch` on, and steps skipped from `step` on, out of the logs: they are written again."""
        jsonl.truncate(self.log, lambda entry: entry["epoch"] < epoch)
        jsonl.truncate(self.spoilt, lambda entry: entry["step"] < step or entry["then"] != "skipped")

    def save(self, name: str, *, tensors: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Write a checkpoint; the `last` one of before becomes `previous`."""
        before = self.checkpoint("previous") if name == "last" else None
        checkpoint.save(self.checkpoint(name), tensors=tensors, facts=facts, before=before)

    def forget_calibration(self) -> None:
        """Remove what was chosen for other weights or settings."""
        self.calibration.unlink(missing_ok=True)

    def write_rows(self, rows: Sequence[Row], part: str, *, table: Path | None = None) -> None:
        """Put the rows of a part into a table, by default that of cases, in place of earlier ones of the same part."""
        if rows:
            self.refuse_other_columns(rows[0], part, table=table)
        write_rows(table or self.cases, [*_rows_of_others(table or self.cases, part), *rows])

    def refuse_other_columns(self, row: Row, part: str, *, table: Path | None = None) -> None:
        """Raise ConfigError where the table holds another part with other columns than `row`."""
        kept = _rows_of_others(table or self.cases, part)
        if kept and list(kept[0]) != list(row):
            other = ", ".join(sorted({str(kept_row["part"]) for kept_row in kept}))
            raise ConfigError(
                f"{table or self.cases} holds the part {other} scored with other metrics or another operating point: "
                "score it again with these, or move the file away"
            )

    def read_rows(self, part: str, *, table: Path | None = None) -> list[Row]:
        """The rows of a part in a table, by default that of cases."""
        return [row for row in read_rows(table or self.cases) if row["part"] == part]

    def write_summary(self, summary: Mapping[str, Any], part: str) -> None:
        """Put the summary of a part beside those of the other parts."""
        self.write_json(self.summary, {**self.read_json(self.summary), part: summary})

    def record_look(
        self,
        part: str,
        *,
        config_sha256: str,
        checkpoint_sha256: str,
        scores: Mapping[str, float],
        overrides: Sequence[str] = (),
    ) -> int:
        """Write a look at the test part, or at other data, into the ledger; gives how many there have been at these."""
        hashes = {"config_sha256": config_sha256, "checkpoint_sha256": checkpoint_sha256}
        return record_look(self.folder / LEDGER_NAME, part, **hashes, scores=scores, overrides=overrides)


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Keep other processes from training in a run folder; a process that dies leaves no lock behind.

    Raises ConfigError where another one is at work there, or where the place cannot be written.
    """
    import fcntl

    beside = folder.with_name(f".{folder.name}.lock")
    try:
        beside.parent.mkdir(parents=True, exist_ok=True)
        handle = beside.open("w")
    except OSError as error:
        raise ConfigError(
            f"the run folder {folder} cannot be written: {error.strerror}; choose another with runs=FOLDER"
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                f"another process is training in {folder}: wait for it, stop it, or take another name (name=...)"
            ) from error
        yield


def create(folder: Path, *, overwrite: bool) -> Run:
    """A new run folder; one that is overwritten hands on its ledger of looks at the test part.

    What a start that was killed left behind, before there was a run, is replaced without being asked. Raises
    ConfigError where the folder exists and is not to be overwritten, is no run, or cannot be written.
    """
    ledger = None
    try:
        if folder.is_symlink() or (any(folder.iterdir()) if folder.is_dir() else folder.exists()):
            ledger = _remove(folder, allowed=overwrite or _is_stillborn(folder))
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        if ledger is not None:
            write_whole(folder / LEDGER_NAME, ledger)
    except OSError as error:
        raise ConfigError(
            f"the run folder {folder} cannot be written: {error.strerror}; choose another with runs=FOLDER"
        ) from error
    return Run(folder)


def _remove(folder: Path, *, allowed: bool) -> bytes | None:
    """Remove a run folder; gives its ledger. Raises ConfigError for anything that is not certainly a run."""
    if not allowed:
        raise ConfigError(
            f"the run folder {folder} exists already: continue it with `hilum train --resume {folder}`, "
            "replace it with --overwrite, or take another name (name=...)"
        )
    config, ledger = folder / "config.yaml", folder / LEDGER_NAME
    if _is_stillborn(folder):
        pass
    elif folder.is_symlink() or not folder.is_dir():
        raise ConfigError(f"--overwrite: {folder} is not a folder of its own (a file or a link): it is left as it is")
    elif not config.is_file() or not config.read_bytes().startswith(RESOLVED.encode()):
        raise ConfigError(
            f"--overwrite: {folder} is not a run folder (it has no config.yaml that hilum wrote): it is left as it is"
        )
    if Path.cwd().is_relative_to(folder.resolve()):
        raise ConfigError(f"--overwrite: the command was started inside {folder}: it is left as it is")
    looks = ledger.read_bytes() if ledger.exists() else None
    shutil.rmtree(folder)
    return looks


def _is_stillborn(folder: Path) -> bool:
    """Whether a folder holds nothing but what the start of a run writes before provenance.json, which comes last."""
    begun = {"checkpoints", "plugins", "config.yaml", "split.csv", "seen.csv", LEDGER_NAME}
    if folder.is_symlink() or not folder.is_dir() or not (folder / "checkpoints").is_dir():
        return False
    names = {file.name for file in folder.iterdir() if not file.name.endswith(".part")}
    return names <= begun and not any((folder / "checkpoints").iterdir())


def open_run(folder: Path) -> Run:
    """An existing run folder. Raises CheckpointError where it is none."""
    run = Run(folder)
    if _is_stillborn(folder):
        raise CheckpointError(f"{folder} was stopped before the run was there: start it again with hilum train CONFIG")
    if not run.config.is_file():
        missing = "it has no config.yaml" if folder.is_dir() else "there is no such folder"
        known = sorted(path.parent.name for path in folder.parent.glob("*/config.yaml"))
        close = nearest(folder.name, known)
        hint = f"; runs beside it: {', '.join(known[:5])}" if known else ""
        raise CheckpointError(
            f"{folder} is not a run folder: {missing}{hint}" + (f"; did you mean '{close}'?" if close else "")
        )
    return run


def _rows_of_others(table: Path, part: str) -> list[Row]:
    return [row for row in read_rows(table) if row["part"] != part] if table.exists() else []


def write_text(file: Path, text: str) -> None:
    """Write a text file so that it appears complete or not at all. Raises DataError where it cannot be written."""
    try:
        write_whole(file, text.encode())
    except OSError as error:
        raise DataError(f"{file} cannot be written: {error.strerror}") from error


def now() -> str:
    """The time in UTC, as the run's files write it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
