"""Cases pass three stages side by side: one is read while the network sees another and a third is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import torch

from hilum.case import Case
from hilum.pipeline.predicting.case import Answered, Failure, Ready, Work, Written
from hilum.training.interrupt import StopRequest

Ended = Written | Failure


@dataclass(frozen=True)
class Road:
    """The work on each case, and who takes note when one is begun and when it has ended, in the order of the cases.

    Both are called by the threads that read and the one that writes. `ahead` cases are read side by side before the
    network is asked for them, and as many wait to be written, so that no more than 2 + 2 * `ahead` are in memory.
    """

    work: Work
    begun: Callable[[Case], None]
    ended: Callable[[Ended], None]
    ahead: int = 1

    def travel(self, cases: Iterable[Case], stop: StopRequest) -> None:
        """All cases to their end, or to that of the case at hand where a stop is asked for.

        Raises Interrupted then, and OutputError as soon as a case cannot be written; what is done is whole.
        """
        threads, readers = torch.get_num_threads(), max(1, self.ahead)
        # Each case is read and prepared by one thread alone, so that sums are rounded alike on every machine.
        with ThreadPoolExecutor(readers, "", torch.set_num_threads, (1,)) as reader, ThreadPoolExecutor(1) as writer:
            waiting = iter(cases)
            reading: deque[Future[Ready | Failure]] = deque()
            writing: deque[Future[None]] = deque()
            try:
                while True:
                    for case in islice(waiting, 1 + self.ahead - len(reading)):
                        reading.append(reader.submit(self._read, case))
                    if not reading:
                        break
                    stop.check()
                    self._pass_on(reading.popleft(), writer, writing, stop)
                    _wait_for(writing, left=self.ahead)
                _wait_for(writing, left=0)
            finally:
                reader.shutdown(cancel_futures=True)
                torch.set_num_threads(threads)  # a thread's own number is also what threads started later begin with

    def _pass_on(
        self,
        read: Future[Ready | Failure],
        writer: ThreadPoolExecutor,
        writing: deque[Future[None]],
        stop: StopRequest,
    ) -> None:
        """Ask the network for a case as soon as it is read, and hand its answer to be written."""
        ready = read.result()
        stop.check()
        writing.append(writer.submit(self._write, ready if isinstance(ready, Failure) else self.work.ask(ready)))

    def _read(self, case: Case) -> Ready | Failure:
        self.begun(case)
        return self.work.read(case)

    def _write(self, answered: Answered | Failure) -> None:
        self.ended(answered if isinstance(answered, Failure) else self.work.write(answered))


def _wait_for(writing: deque[Future[None]], *, left: int) -> None:
    """Wait until at most so many cases are still to be written. Raises what went wrong in writing."""
    while len(writing) > left:
        writing.popleft().result()
