"""Locks between the processes that work on one sweep; one that dies leaves none behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def waiting_for(file: Path) -> Iterator[None]:
    """Hold a lock file alone within a `with` statement, as soon as nobody else does."""
    import fcntl

    with _opened(file) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def taken(file: Path, *, shared: bool = False) -> Iterator[bool]:
    """Whether the lock could be had at once, alone or `shared` with others; it is held within the `with` statement."""
    import fcntl

    with _opened(file) as handle:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def _opened(file: Path) -> IO[str]:
    file.parent.mkdir(parents=True, exist_ok=True)
    return file.open("w")
