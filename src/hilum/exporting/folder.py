"""The folder of an export: written beside its place and renamed, so that it appears complete or not at all."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from hilum.errors import ConfigError, DataError
from hilum.training.interrupt import Interrupted, handled_by

MARK = "parity.json"
"""The file that is in every export: nothing else is overwritten."""


def refuse_taken(output: Path, *, overwrite: bool) -> None:
    """Raise ConfigError where the folder of an export is there and must not be replaced."""
    if not (output.exists() or output.is_symlink()):
        return
    if not overwrite:
        raise ConfigError(f"{output} exists already: replace it with --overwrite, or name another folder")
    if output.is_symlink() or not (output / MARK).is_file() or (output / "config.yaml").exists():
        raise ConfigError(f"--overwrite: {output} is no export of hilum (it has no {MARK}): it is left as it is")


@contextmanager
def appearing(output: Path) -> Iterator[Path]:
    """A new folder to write into, which becomes `output` once all has gone well, in place of what is there.

    Raises DataError where it cannot be made.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{output.name}.", suffix=".part", dir=output.parent))
    except OSError as error:
        raise DataError(f"{output} cannot be written: {error.strerror}") from error
    try:
        with _told_to_end():
            part.chmod(0o777 & ~_umask())  # mkdtemp keeps others out
            yield part
            old = part.with_suffix(".old")
            if output.exists():
                output.replace(old)
            part.replace(output)
            shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _told_to_end() -> Iterator[None]:
    """Raise Interrupted at SIGTERM, as Python does at Ctrl-C by itself, so that what is half done is removed."""

    def leave(signum: int, frame: FrameType | None) -> None:
        raise Interrupted(signum)

    with handled_by(leave, signal.SIGTERM):
        yield


def _umask() -> int:
    """The permissions that this process withholds; they can be read only by setting them."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
