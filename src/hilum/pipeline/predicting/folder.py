"""The folder that a batch writes into: what lies where, who may write, and what a killed process left behind."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hilum.case import Case
from hilum.errors import ConfigError, DataError, OutputError
from hilum.pipeline.predicting.shards import WHOLE, Shard

PART = re.compile(r"\.(.+)\.\d+\.part")
"""What a file is called until it is complete: with its name and the process that writes it."""
PROBABILITIES, SPREAD, DICOM_SEG, OVERLAY = "probabilities", "disagreement_map", "dicom_seg", "overlay"
"""What may be written besides the labels: the columns that name the files."""
FOLDERS = {PROBABILITIES: "probabilities", SPREAD: "disagreement", DICOM_SEG: "dicom_seg", OVERLAY: "overlays"}
"""The folders that hold them."""


@dataclass(frozen=True)
class OutputFolder:
    """The folder of a batch, as the process that does one part of it sees it."""

    path: Path
    shard: Shard = WHOLE

    @property
    def state(self) -> Path:
        """Where journals and locks lie."""
        return self.path / ".hilum"

    @property
    def journal(self) -> Path:
        """What this part has finished."""
        return self.state / f"{self.shard.name}.jsonl"

    @property
    def lock(self) -> Path:
        """Held by the process that does this part."""
        return self.state / f"{self.shard.name}.lock"

    @property
    def merge_lock(self) -> Path:
        """Held by the process that puts the tables of all parts together."""
        return self.state / "merge.lock"

    @property
    def shards(self) -> Path:
        """Where the tables of the parts lie."""
        return self.path / "shards"

    @property
    def tables(self) -> Path:
        """Where the tables of this part lie: the folder itself where there is only one."""
        return self.path if self.shard.of == 1 else self.shards / self.shard.name

    @property
    def results(self) -> Path:
        """The rows of the cases that were predicted."""
        return self.tables / "results.csv"

    @property
    def failures(self) -> Path:
        """The rows of the cases that could not be."""
        return self.tables / "failures.csv"

    @property
    def patients(self) -> Path:
        """A row a patient of the whole batch, where the experiment asks for patients."""
        return self.path / "patients.csv"

    @property
    def provenance(self) -> Path:
        """By what the batch was predicted, where and when."""
        return self.tables / "provenance.json"

    def extra(self, name: str) -> Path:
        """Where files lie that are written besides the labels, by the column that names them."""
        return self.path / FOLDERS[name]

    def of(self, shard: Shard) -> OutputFolder:
        """The same folder, as the process of another part sees it."""
        return OutputFolder(self.path, shard)


def open_output(target: Path, source: Path, cases: Sequence[Case], shard: Shard) -> OutputFolder:
    """The folder to write into. Raises DataError where it cannot be made, or where it would hold its own inputs."""
    output = OutputFolder(target, shard)
    ours = {target.resolve(), *(output.extra(name).resolve() for name in FOLDERS)}
    if any(ref.path.resolve().parent in ours for case in cases for ref in case.files):
        raise DataError(f"{target}: holds the images that are to be predicted, choose another folder for the output")
    if source.is_dir() and target.resolve().is_relative_to(source.resolve()):
        raise DataError(f"{target}: lies in the folder of images, where a second run would take outputs for inputs")
    if (target / "config.yaml").exists():
        raise DataError(f"{target}: is a run folder, choose another folder for the output")
    try:
        for folder in (output.tables, output.state):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{target}: cannot be written: {error.strerror}") from error
    return output


@contextmanager
def alone_in(output: OutputFolder) -> Iterator[bool]:
    """Keep other processes from the same part, and from other divisions of the batch; a dead process leaves no lock.

    Gives whether the file system knows locks. Raises ConfigError where another process is at work.
    """
    with _opened(output.lock) as handle:
        state = _lock(handle)
        if state == "taken":
            part = "" if output.shard == WHOLE else f" part {output.shard} of the batch"
            raise ConfigError(f"another process predicts{part} into {output.path}: wait for it or stop it")
        own = {sibling.name for sibling in output.shard.siblings}
        for file in sorted(output.state.glob("*-of-*.lock")):
            if file.stem not in own and _is_taken(file):
                raise ConfigError(
                    f"another process predicts part {file.stem.replace('-of-', '/')} into {output.path}, "
                    f"this one was to do {output.shard}: divide the batch in one way, or wait for that process"
                )
        yield state == "held"


@contextmanager
def merging(output: OutputFolder) -> Iterator[None]:
    """Wait until no other process puts tables together, and keep others from it."""
    with _opened(output.merge_lock) as handle:
        _lock(handle, wait=True)
        yield


@contextmanager
def writing_to(output: OutputFolder) -> Iterator[None]:
    """Raise OutputError where the folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise cannot_write(output, error) from error


def cannot_write(output: OutputFolder, error: OSError) -> OutputError:
    """What to say where a folder cannot be written any more."""
    return OutputError(
        f"{output.path} cannot be written any more: {error.strerror}. What results.csv lists is whole; "
        "mend this and give the same command again: it goes on from here"
    )


def clear_parts(output: OutputFolder, ids: Collection[str]) -> int:
    """Remove what processes that were killed had begun to write; gives how many files these were.

    Other parts may be at work: of theirs nothing is touched. Files of the cases `ids` are ours.
    """
    ours, whole = set(ids), output.shard == WHOLE
    found = [file for file in output.tables.iterdir() if PART.fullmatch(file.name)]
    for folder in (*([] if whole else [output.path]), *filter(Path.is_dir, map(output.extra, FOLDERS))):
        found += [
            file for file in folder.iterdir() if PART.fullmatch(file.name) and (whole or _case_of(file.name) & ours)
        ]
    for file in found:
        file.unlink(missing_ok=True)
    return len(found)


def _case_of(name: str) -> set[str]:
    """The cases that an unfinished file may belong to: ids and suffixes may both hold dots."""
    match = PART.fullmatch(name)
    pieces = match[1].split(".") if match else []
    return {".".join(pieces[:count]) for count in range(1, len(pieces))}


def _opened(file: Path) -> IO[str]:
    try:
        return file.open("a")
    except OSError as error:
        raise DataError(f"{file.parent.parent}: cannot be written: {error.strerror}") from error


def _lock(handle: IO[str], *, wait: bool = False, shared: bool = False) -> str:
    """held, taken by another process, or none: some network file systems have no locks."""
    import fcntl

    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return "taken"
    except OSError:
        return "none"
    return "held"


def _is_taken(file: Path) -> bool:
    try:
        with file.open() as handle:
            return _lock(handle, shared=True) == "taken"
    except OSError:
        return False
