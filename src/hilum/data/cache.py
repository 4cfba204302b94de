"""The folder of prepared cases: what lies in it, how it is kept within its bound, and what is cleared away."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from hilum.data.hashes import MEMORY_NAME
from hilum.errors import DataError

LOOKS = "looks"
"""The folder within it that remembers what images look like."""
TAG = "CACHEDIR.TAG"
"""The file by which backups know a folder that they may leave out, and hilum one that it may clear."""
TAG_TEXT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# Made by hilum, which can make again what is in this folder. About such files: https://bford.info/cachedir/\n"
)
HASHED = "[0-9a-f]{64}"
"""A hash of content as it stands in names."""
CASE = re.compile(rf"{HASHED}\.safetensors")
FIT = re.compile(rf"fit-{HASHED}\.json")
PARTIAL = re.compile(
    rf"{HASHED}\.\d+\.[0-9a-f]+\.part|\.({CASE.pattern}|{FIT.pattern})\.\d+\.part|{re.escape(MEMORY_NAME)}\.\d+\.part"
)
"""The names that hilum gives its files. All others are somebody else's: neither counted nor deleted."""
LEFTOVER_S = 3600.0
"""A file that is still incomplete after this long was left behind by a process that was killed."""
KEPT_SHARE = 0.9
"""Down to this share of the bound the oldest files go, so that not every new one has to look for room."""
LOOK_AGAIN_SHARE = 0.05
"""After writing this share of the bound, a process looks at what others have written meanwhile."""


@dataclass(frozen=True)
class Entry:
    """A file in the folder: its path, its size, and when it was last used (or, while incomplete, written)."""

    path: Path
    num_bytes: int
    used_s: float


@dataclass(frozen=True)
class Contents:
    """What lies in a folder of prepared cases, each the least recently used first.

    `remembered` are looks of images and fitted settings, `leftovers` files that are not whole.
    """

    cases: tuple[Entry, ...]
    remembered: tuple[Entry, ...]
    leftovers: tuple[Entry, ...]

    @property
    def whole(self) -> tuple[Entry, ...]:
        """Everything but leftovers, the least recently used first."""
        return tuple(sorted((*self.cases, *self.remembered), key=_age))

    @property
    def num_bytes(self) -> int:
        """Size of all files."""
        return sum(entry.num_bytes for entry in (*self.cases, *self.remembered, *self.leftovers))


class CacheFullError(DataError):
    """The prepared cases of one run do not fit into the bound of the folder."""


class Room:
    """Keeps a folder of prepared cases within a bound: the least recently used files make room for new ones."""

    def __init__(self, folder: Path, bound_bytes: int | None) -> None:
        self.folder = folder
        self.bound_bytes = bound_bytes
        self._seen_bytes: int | None = None
        self._written_bytes = 0
        self._promised_bytes = 0
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[Room], tuple[Path, int | None]]:
        """What another process is sent: it looks at the folder for itself."""
        return Room, (self.folder, self.bound_bytes)

    def make(self, num_bytes: int, *, used: Container[str]) -> None:
        """Make room for a file of this size by deleting old ones, but none whose name is in `used`.

        The room is kept for it until `settle` is told of it, whether it was written or not. Raises CacheFullError
        where that is not enough.
        """
        with self._lock:
            self._make(num_bytes, used)
            self._promised_bytes += num_bytes

    def settle(self, num_bytes: int) -> None:
        """A file for which room was made lies in the folder now, or never will."""
        with self._lock:
            self._promised_bytes -= num_bytes

    def _make(self, num_bytes: int, used: Container[str]) -> None:
        bound = self.bound_bytes
        if self._seen_bytes is None or (bound is not None and self._written_bytes > LOOK_AGAIN_SHARE * bound):
            self._look()
        if bound is not None and (self._seen_bytes or 0) + self._written_bytes + num_bytes > bound:
            self._evict(self._look(), int(KEPT_SHARE * bound) - num_bytes, used)
            if (self._seen_bytes or 0) + num_bytes > bound:
                held = sum(entry.num_bytes for entry in contents(self.folder).cases if entry.path.name in used)
                raise CacheFullError(
                    f"the prepared cases of this run do not fit into data.cache_gb={bound / 2**30:g}: those made so "
                    f"far take {held / 2**30:.3g} GiB and the next one {num_bytes / 2**30:.3g} GiB; raise "
                    "data.cache_gb, or prepare to coarser voxels or a smaller field of view"
                )
        self._written_bytes += num_bytes

    def _look(self) -> Contents:
        """See how full the folder is; leftovers go at once."""
        found = contents(self.folder)
        old_s = time.time() - LEFTOVER_S
        for entry in found.leftovers:
            if entry.used_s < old_s:
                _delete(entry.path)
        # Other threads may have been promised room for files that are not there yet.
        self._seen_bytes, self._written_bytes = found.num_bytes + self._promised_bytes, 0
        return found

    def _evict(self, found: Contents, wanted_bytes: int, used: Container[str]) -> None:
        """Delete the oldest files until no more than `wanted_bytes` are left."""
        for entry in found.whole:
            if (self._seen_bytes or 0) <= wanted_bytes:
                return
            if entry.path.name not in used:
                _delete(entry.path)
                self._seen_bytes = (self._seen_bytes or 0) - entry.num_bytes


def make_folder(folder: Path) -> None:
    """Make the folder, marked as a cache; one that holds anything of somebody else's is not marked. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    tag = folder / TAG
    if tag.exists():
        return
    names = [file.name for file in folder.iterdir()]
    if not names or (all(map(_is_ours, names)) and any(map(_is_named, names))):
        # Another process may be faster, and a folder that is only read needs no mark.
        with contextlib.suppress(OSError), tag.open("x", encoding="utf-8") as stream:
            stream.write(TAG_TEXT)


def is_marked(folder: Path) -> bool:
    """Whether hilum made the folder to keep prepared cases in."""
    try:
        return (folder / TAG).read_text(encoding="utf-8", errors="replace") == TAG_TEXT
    except OSError:
        return False


def touch(file: Path) -> None:
    """Note that a file was used now. A folder that cannot be written keeps no such notes."""
    with contextlib.suppress(OSError):
        os.utime(file)


def contents(folder: Path) -> Contents:
    """What lies in the folder; nothing where there is none."""
    entries, looks = sorted(_entries(folder), key=_age), sorted(_entries(folder / LOOKS), key=_age)
    fits = [entry for entry in entries if FIT.fullmatch(entry.path.name)]
    looks_whole = [entry for entry in looks if CASE.fullmatch(entry.path.name)]
    return Contents(
        tuple(entry for entry in entries if CASE.fullmatch(entry.path.name)),
        tuple(sorted((*fits, *looks_whole), key=_age)),
        tuple(entry for entry in (*entries, *looks) if PARTIAL.fullmatch(entry.path.name)),
    )


def prune(folder: Path, *, bound_bytes: int | None = None, leftover_s: float = LEFTOVER_S) -> tuple[Entry, ...]:
    """Delete leftovers, and the least recently used files beyond a bound; gives what was deleted."""
    found = contents(folder)
    gone = [entry for entry in found.leftovers if entry.used_s < time.time() - leftover_s]
    left = sum(entry.num_bytes for entry in found.whole)
    for entry in found.whole:
        if bound_bytes is None or left <= bound_bytes:
            break
        gone.append(entry)
        left -= entry.num_bytes
    for entry in gone:
        _delete(entry.path)
    return tuple(gone)


def _entries(folder: Path) -> Iterator[Entry]:
    """Every file with a name that hilum gives; one that another process deletes meanwhile is passed over."""
    with contextlib.suppress(OSError), os.scandir(folder) as listed:
        for item in listed:
            with contextlib.suppress(OSError):
                if _is_named(item.name) and item.is_file():
                    found = item.stat()
                    yield Entry(Path(item.path), found.st_size, found.st_mtime)


def _is_named(name: str) -> bool:
    return any(pattern.fullmatch(name) for pattern in (CASE, FIT, PARTIAL))


def _is_ours(name: str) -> bool:
    return _is_named(name) or name in (LOOKS, MEMORY_NAME)


def _age(entry: Entry) -> tuple[float, str]:
    return entry.used_s, entry.path.name


def _delete(file: Path) -> None:
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)
