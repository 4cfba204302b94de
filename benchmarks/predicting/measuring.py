"""Runs a command to its end: seconds on the clock, seconds of all cores, and the most memory of it and its children."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

POLL_S = 0.1
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Cost:
    """What a command took.

    `peak_bytes` is resident memory added up over its processes, as often as it was looked at, or that of the largest of
    them alone, which the system remembers to the byte, where that is more.
    """

    wall_s: float
    cores_s: float
    peak_bytes: int


def measured(words: Sequence[str], environment: Mapping[str, str], log: Path) -> Cost:
    """The cost of a command, whose output goes into a file. Raises RuntimeError where it fails."""
    start, peak = time.perf_counter(), 0
    with log.open("w") as output:
        child = subprocess.Popen(words, env=dict(environment), stdout=output, stderr=subprocess.STDOUT)
        while True:
            ended, status, usage = os.wait4(child.pid, os.WNOHANG)
            if ended:
                break
            peak = max(peak, sum(map(resident_bytes, family(child.pid))))
            time.sleep(POLL_S)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {child.returncode}\n{log.read_text()[-3000:]}")
    wall_s = time.perf_counter() - start
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, max(peak, usage.ru_maxrss * 1024))


def family(pid: int) -> list[int]:
    """A process and all that it started, as far as they still run."""
    children: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            children += map(int, (thread / "children").read_text().split())
    return [pid, *(one for child in children for one in family(child))]


def resident_bytes(pid: int) -> int:
    """The memory that a process holds now; 0 where it has ended."""
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    return 0
