"""Hashes of what cases are read from: equal only for equal data, and remembered as long as a file stays as it was."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hilum.case import Case, ImageRef
from hilum.errors import DataError
from hilum.formats.reading import files_of
from hilum.hardware import usable_cores

MEMORY_NAME = "hashes.txt"
"""The file in the cache folder that remembers hashes."""
SETTLED_NS = 2_000_000_000
"""A file changed less than this before it was hashed may change again within one tick of its clock: it is hashed again
the next time (git calls such files racily clean; FAT counts time in steps of two seconds)."""
SMALL_BYTES = 2**20
"""A file smaller than this is hashed in one piece."""
SUPERSEDED_LINES = 10_000
"""The file is written anew once it holds this many lines more than twice what is needed."""


class Hashes:
    """SHA-256 of files, remembered in a folder by path, size, inode and the times of change in nanoseconds.

    The memory is a text file with a line a hash, to which processes only ever add. A line that is torn (by kill -9, a
    full disk or a network file system that mixes two writers) fails its check and is passed over, so the worst that
    can happen is that a file is read again. Nothing is remembered where the folder does not exist or cannot be written.
    """

    def __init__(self, folder: Path | None, *, rehash: bool = False) -> None:
        """`rehash` reads every file again, whatever is remembered, and remembers what it finds."""
        self._memory = None if folder is None else folder / MEMORY_NAME
        self._known: dict[str, str] | None = {} if rehash or folder is None else None

    def of(self, path: Path) -> str:
        """The hash of a file's content. Raises DataError where it cannot be read."""
        if self._known is None:
            self._known = self._remembered()
        name = json.dumps(str(path.absolute()))
        state = _state(path)
        known = self._known.get(name)
        if known is not None and known == _record(known.partition(" ")[0], state, name):
            return known.partition(" ")[0]
        now_ns = time.time_ns()
        digest = file_sha256(path)
        changed_ns = max(int(part) for part in state.split(" ")[1:3])
        if changed_ns < now_ns - SETTLED_NS and _state(path) == state:
            self._known[name] = _record(digest, state, name)
            self._append(f"{self._known[name]} {name}\n")
        return digest

    def of_image(self, ref: ImageRef) -> str:
        """The hash of all files that an image is read from, in the order in which it is put together from them.

        That of the file where it is one. The slices of a DICOM series tell their places themselves: names do not count.
        """
        digests = [self.of(path) for path in files_of(ref)]
        if len(digests) == 1:
            return digests[0]
        ordered = sorted(digests) if ref.path.is_dir() else digests
        return hashlib.sha256("\n".join(ordered).encode()).hexdigest()

    def forget_missing(self) -> int:
        """Take files that are gone out of the memory, and gives how many they are."""
        known = self._remembered()
        there = {name: record for name, record in known.items() if Path(json.loads(name)).exists()}
        if len(there) < len(known):
            self._rewrite(there)
        return len(known) - len(there)

    def _remembered(self) -> dict[str, str]:
        """What the file says: by file name in JSON its record; the last line about a file counts."""
        if self._memory is None:
            return {}
        try:
            lines = self._memory.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return {}
        known = {}
        for line in lines:
            *record, name = line.split(" ", 6)
            if len(record) == 6:
                known[name] = " ".join(record)
        if len(lines) > 2 * len(known) + SUPERSEDED_LINES:
            self._rewrite(known)
        return known

    def _append(self, line: str) -> None:
        """Add a line in one write, so that those of several processes do not mix. Forgetting is no error."""
        if self._memory is None:
            return
        with contextlib.suppress(OSError):
            descriptor = os.open(self._memory, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)

    def _rewrite(self, known: dict[str, str]) -> None:
        """Write the file anew; what another process adds meanwhile is forgotten, which costs it a second look."""
        if self._memory is None:
            return
        part = self._memory.with_name(f"{MEMORY_NAME}.{os.getpid()}.part")
        with contextlib.suppress(OSError):
            part.write_text("".join(f"{record} {name}\n" for name, record in known.items()), encoding="utf-8")
            part.replace(self._memory)


def refs(case: Case) -> list[ImageRef]:
    """The files of a case: its images, then its mask."""
    return [*case.files, *([case.label] if isinstance(case.label, ImageRef) else [])]


def file_sha256(path: Path) -> str:
    """The hash of a file's content, read now. Raises DataError where it cannot be read."""
    try:
        with path.open("rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size < SMALL_BYTES:
                return hashlib.sha256(file.read()).hexdigest()
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def data_sha256(cases: Iterable[Case], hashes: Hashes | None = None) -> str:
    """One hash of all files that cases are read from and of their labels: equal only for equal data."""
    hashes = hashes or Hashes(None)
    ordered = sorted(cases, key=lambda case: case.id)
    # The rows of one array are many images of one file, which is hashed once.
    images = list(dict.fromkeys(ImageRef(ref.path, _series(ref)) for case in ordered for ref in refs(case)))
    with ThreadPoolExecutor(max_workers=usable_cores()) as pool:
        known = dict(zip(images, pool.map(hashes.of_image, images), strict=True))
    digest = hashlib.sha256()
    for case in ordered:
        for ref in refs(case):
            content = known[ImageRef(ref.path, _series(ref))]
            digest.update(f"{case.id}\0{content}\0{ref.key}\0{ref.index}\n".encode())
        label = case.label if isinstance(case.label, str | tuple) else ""
        # The same files mean something else where other channels are missing.
        missing = f"\0{case.missing}" if case.missing else ""
        digest.update(f"{case.id}\0{case.patient}\0{label}{missing}\n".encode())
    return digest.hexdigest()


def _series(ref: ImageRef) -> str | None:
    """The key where it chooses the files that are read (a series in a folder), not a place in one of them."""
    return ref.key if ref.index is None else None


def _state(path: Path) -> str:
    """What changes when a file does: size, both times and the number of its place on disk."""
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def _record(digest: str, state: str, name: str) -> str:
    """A hash, the state of its file, and a check over these and the name."""
    return f"{digest} {state} {zlib.crc32(f'{digest} {state} {name}'.encode()):08x}"
