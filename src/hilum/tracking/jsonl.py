"""The log of a run: one JSON object a line, one line an epoch, on the disk before the next epoch starts."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hilum.errors import DataError
from hilum.formats.atomic import write_whole

Record = Mapping[str, Any]


def append(path: Path, record: Record) -> None:
    """Adds one line to `path` and waits until it lies on the disk. NaN and infinity become null, which JSON has."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(_finite(record), ensure_ascii=False, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[dict[str, Any]]:
    """The records of `path` in order, none where there is no file; a last line cut off by a kill is left out.

    Raises DataError naming the first line that is not a JSON object.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")  # what follows the last newline was never finished
    records: list[dict[str, Any]] = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{number}: not a line of JSON ({error}); received {line[:60]!r}") from error
        if not isinstance(record, dict):
            raise DataError(f"{path}:{number}: expected one JSON object a line, received {line[:60]!r}")
        records.append(record)
    return records


def truncate(path: Path, keep: Callable[[dict[str, Any]], bool]) -> None:
    """Leaves only the records for which `keep` is true, atomically: a resumed run writes the others again."""
    if not path.exists():
        return
    kept = [json.dumps(record, ensure_ascii=False) + "\n" for record in read(path) if keep(record)]
    write_whole(path, "".join(kept).encode())


def _finite(value: Any) -> Any:
    """The value in what JSON has: numbers of numpy and torch as Python's, without NaN and infinity."""
    if isinstance(value, Mapping):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
