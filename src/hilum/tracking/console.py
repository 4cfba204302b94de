"""What long work shows while it goes on: a progress bar on a terminal, plain lines in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

REFRESH_S = 0.2
"""Shortest time between two updates of the bar; steps in between cost one look at the clock."""
LINE_S = 60.0
"""Without a terminal, a line about the steps is printed this often, so that a long epoch shows that it lives."""


class Progress:
    """Shows the steps and epochs of one run within a `with` statement; prints nothing when `quiet` (other ranks).

    On a terminal: one bar with loss, score, time left and the share of time spent waiting for data, and one line an
    epoch above it. Elsewhere: the lines only.
    """

    def __init__(
        self,
        total_steps: int,
        *,
        done_steps: int = 0,
        score: str | None = None,
        stream: TextIO | None = None,
        quiet: bool = False,
    ) -> None:
        """`score` names the entry of a record that the bar shows, `done_steps` what a resumed run has behind it."""
        self._total, self._done, self._first = total_steps, done_steps, done_steps
        self._score_name, self._score = score, ""
        self._stream = sys.stdout if stream is None else stream
        self._quiet = quiet
        self._started_s = self._shown_s = time.monotonic()
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._started_s = self._shown_s = time.monotonic()
        if not self._quiet and self._stream.isatty():
            self._bar = _bar(self._stream, "training")
            self._task = self._bar.add_task("", total=self._total, completed=self._done, numbers="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            if kind is None:
                self._refresh("")
            self._bar.stop()

    def step(self, loss: float, waiting_share: float) -> None:
        """Counts one optimizer step; shows its loss and how much of the time (0 to 1) was spent waiting for data."""
        self._done += 1
        if self._quiet:
            return
        now_s = time.monotonic()
        if now_s - self._shown_s < (LINE_S if self._bar is None else REFRESH_S):
            return
        self._shown_s = now_s
        numbers = f"loss {loss:.4f}  waiting {waiting_share:.0%}"
        if self._bar is not None:
            self._refresh(numbers)
        else:
            self.line(f"step {self._done}/{self._total}  {numbers}  {_duration(self._left_s(now_s))} left")

    def epoch(self, record: Mapping[str, float]) -> None:
        """Prints one line with the numbers of a finished epoch, those within another entry aside."""
        if self._score_name is not None and self._score_name in record:
            self._score = f"{self._score_name} {_number(record[self._score_name])}"
        self.line(
            "  ".join(
                f"{name} {_entry(name, value)}" for name, value in record.items() if not isinstance(value, Mapping)
            )
        )

    def line(self, text: str) -> None:
        """Prints a line of text above the bar, or into the log."""
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False, soft_wrap=True)
        else:
            print(text, file=self._stream, flush=True)

    def _refresh(self, numbers: str) -> None:
        assert self._bar is not None
        assert self._task is not None
        shown = "  ".join(part for part in (numbers, self._score) if part)
        self._bar.update(self._task, completed=self._done, numbers=shown)

    def _left_s(self, now_s: float) -> float:
        return (now_s - self._started_s) / max(self._done - self._first, 1) * (self._total - self._done)


@contextmanager
def bar(text: str, *, stream: TextIO | None = None) -> Iterator[Callable[[int, int], None]]:
    """A function that shows how many of how many are done, within a `with` statement.

    On a terminal: one bar that goes away at the end. Elsewhere: a line a minute, so that quick work says nothing.
    """
    stream = sys.stdout if stream is None else stream
    shown = _bar(stream, text, transient=True) if stream.isatty() else None
    task = shown.add_task("", total=None, numbers="") if shown is not None else None
    latest_s = started_s = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal latest_s
        now_s = time.monotonic()
        if done < total and now_s - latest_s < (LINE_S if shown is None else REFRESH_S):
            return
        if shown is not None and task is not None:
            shown.update(task, completed=done, total=total)
        elif now_s - latest_s >= LINE_S:
            left = _duration((now_s - started_s) / max(done, 1) * (total - done))
            print(f"{text}: {done}/{total}  {left} left", file=stream, flush=True)
        latest_s = now_s

    if shown is None:
        yield show
        return
    with shown:
        yield show


def _bar(stream: TextIO, text: str, *, transient: bool = False) -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    return RichProgress(
        TextColumn(text),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[numbers]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("left", style="dim"),
        console=Console(file=stream),
        refresh_per_second=1 / REFRESH_S / 2,
        transient=transient,
    )


def _entry(name: str, value: float) -> str:
    """A number as people read it: shares in percent, seconds with their unit, learning rates with an exponent."""
    if name == "waiting":
        return f"{value:.0%}"
    if name == "seconds":
        return f"{value:.1f}s"
    return _number(value)


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{value:.4f}" if value == 0 or 0.01 <= abs(value) < 10_000 else f"{value:.2e}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
