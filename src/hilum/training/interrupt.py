"""Ctrl-C and SIGTERM as a request that is answered between two steps, so that nothing is left half done."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self


class Interrupted(Exception):  # noqa: N818 (an event, not an error)
    """The run was asked to stop, and did so between two steps."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)  # and nothing else: it is sent to other processes
        self.exit_code = 128 + signum

    def __str__(self) -> str:
        return signal.Signals(self.args[0]).name


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """End the process at Ctrl-C within a `with` statement that loads libraries, where nothing can be left half done.

    The usual KeyboardInterrupt is dropped by torch where it falls into the loading of its parts, or aborts them.
    """

    def leave(signum: int, frame: FrameType | None) -> None:
        os.write(sys.stderr.fileno(), b"interrupted\n")
        os._exit(128 + signum)

    with handled_by(leave, signal.SIGINT):
        yield


@contextmanager
def handled_by(leave: Callable[[int, FrameType | None], None], signum: signal.Signals) -> Iterator[None]:
    """Let `leave` answer a signal within a `with` statement; in any thread but the main one nothing changes."""
    try:
        before = signal.signal(signum, leave)
    except ValueError:  # not in the main thread: the caller's own handling stays
        yield
        return
    try:
        yield
    finally:
        signal.signal(signum, before)


class StopRequest:
    """Notes the first SIGINT or SIGTERM within a `with` statement; the second one ends the process at once."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> Self:
        for signum in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[signum] = signal.signal(signum, self._note)
            except ValueError:  # not in the main thread: the caller's own handling stays
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler if handler is not None else signal.SIG_DFL)
        self._before.clear()

    def check(self) -> None:
        """Raise Interrupted where a stop was asked for."""
        if self.signum is not None:
            raise Interrupted(self.signum)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is not None:
            signal.signal(signum, signal.SIG_DFL)
            signal.raise_signal(signum)
        self.signum = signum
