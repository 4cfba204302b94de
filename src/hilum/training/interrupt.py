"""Ctrl-C and SIGTERM as a request that is answered between two steps, so that nothing is left half done."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Self


class Interrupted(Exception):  # noqa: N818 (an event, not an error)
    """The run was asked to stop, and did so between two steps."""

    def __init__(self, signum: int) -> None:
        self.exit_code = 128 + signum
        super().__init__(signal.Signals(signum).name)


class StopRequest:
    """Notes the first SIGINT or SIGTERM within a `with` statement; the second one ends the process at once."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self._before: dict[int, object] = {}

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
            signal.signal(signum, handler)  # type: ignore[arg-type]
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
