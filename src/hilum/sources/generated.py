"""Folders of generated data: written once as a whole, and known again by the settings that they were drawn with."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from hilum.errors import DataError
from hilum.formats.atomic import write_whole


def write_once(folder: Path, settings: str, *, record: str, what: str, write: Callable[[Path], None]) -> None:
    """Make `folder` by `write`, unless it is there, and keep `settings` in its file `record`.

    The folder appears only when complete, so that several processes may do so at once. Raises DataError where it holds
    anything else than `what` of these settings.
    """
    if is_there(folder, settings, record=record, what=what):
        return
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        write(part)
        write_whole(part / record, settings.encode())
        part.rename(folder)
    except OSError:
        if not is_there(folder, settings, record=record, what=what):  # else another process was faster
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def is_there(folder: Path, settings: str, *, record: str, what: str) -> bool:
    """Whether the folder holds `what` of these very settings. Raises DataError where it holds anything else."""
    known = folder / record
    if known.is_file():
        if known.read_text(encoding="utf-8") != settings:
            raise DataError(
                f"{folder}: holds {what} of other settings ({known}); name another `folder`, or delete this one"
            )
        return True
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: exists and holds no {what}; name another `folder`")
    return False
