"""Hashes of what cases are read from: equal only for equal data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from hilum.case import Case, ImageRef
from hilum.errors import DataError


def refs(case: Case) -> list[ImageRef]:
    """The files of a case: its images, then its mask."""
    return [*case.files, *([case.label] if isinstance(case.label, ImageRef) else [])]


def file_sha256(path: Path) -> str:
    """The hash of a file's content. Raises DataError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def data_sha256(cases: Iterable[Case]) -> str:
    """One hash of all files that cases are read from and of their labels: equal only for equal data."""
    known: dict[Path, str] = {}
    digest = hashlib.sha256()
    for case in sorted(cases, key=lambda case: case.id):
        for ref in refs(case):
            if ref.path not in known:
                known[ref.path] = file_sha256(ref.path)
            digest.update(f"{case.id}\0{known[ref.path]}\0{ref.key}\0{ref.index}\n".encode())
        digest.update(f"{case.id}\0{case.patient}\0{case.label if isinstance(case.label, str) else ''}\n".encode())
    return digest.hexdigest()
