"""The ledger of looks at the test part: a score that was looked at often is no longer a test."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hilum.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LEDGER_NAME = "test_ledger.jsonl"


@dataclass(frozen=True)
class Look:
    """One scoring of a part that was held back: when, of what, and what came out (None: undefined).

    `config_sha256` is the hash of the run's configuration and of `overrides`, the settings that replaced some of it.
    """

    time: str
    part: str
    config_sha256: str
    checkpoint_sha256: str
    scores: Mapping[str, float | None]
    overrides: Sequence[str] = ()


def record_look(
    ledger: Path,
    part: str,
    *,
    config_sha256: str,
    checkpoint_sha256: str,
    scores: Mapping[str, float],
    overrides: Sequence[str] = (),
) -> int:
    """Append one line to the ledger, with the time in UTC; returns how often the part has now been looked at.

    Raises DataError where the ledger holds something else than looks.
    """
    before = count_looks(ledger, part)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    shown = {name: None if math.isnan(value) else value for name, value in scores.items()}
    line = json.dumps(
        asdict(Look(now, part, config_sha256, checkpoint_sha256, shown, tuple(overrides))), allow_nan=False
    )
    with ledger.open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    return before + 1


def read_looks(ledger: Path) -> tuple[Look, ...]:
    """Every look so far, oldest first; none where there is no ledger. Raises DataError for a damaged line."""
    if not ledger.exists():
        return ()
    lines = ledger.read_text(encoding="utf-8").splitlines()
    return tuple(_look(line, f"{ledger}:{number}") for number, line in enumerate(lines, start=1))


def count_looks(ledger: Path, part: str = "test") -> int:
    """How often a part has been looked at."""
    return sum(look.part == part for look in read_looks(ledger))


def _look(line: str, where: str) -> Look:
    try:
        return Look(**json.loads(line))
    except (ValueError, TypeError):
        raise DataError(f"{where}: received {line[:60]!r}, expected a look as JSON; mend or remove this line") from None
