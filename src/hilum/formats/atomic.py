"""Files that appear under their final name only when they are complete."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def writing_whole(path: Path) -> Iterator[BinaryIO]:
    """A stream into a file that appears under its name, in one step, when the block ends without an error.

    A reader sees the old content or all of the new one, even after a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write the file in one step, as `writing_whole` does."""
    with writing_whole(path) as stream:
        stream.write(content)
