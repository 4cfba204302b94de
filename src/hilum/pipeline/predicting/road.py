"""Cases pass three stages side by side: some are read while the network sees others and another is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import torch

from hilum.case import Case
from hilum.pipeline.predicting.case import Answered, Failure, Ready, Work, Written
from hilum.training.interrupt import Interrupted, StopRequest

Ended = Written | Failure
Asked = Answered | Failure
Given = TypeVar("Given")


@dataclass(frozen=True)
class Road:
    """The work on each case, and who takes note when one is begun and when it has ended, in the order of the cases.

    Both are called by the threads that read and the one that writes. `ahead` cases are read side by side before the
    network is asked for them, and as many wait to be written; it is asked for `together` cases at a time, by a thread
    each where they are several. So no more than 1 + `together` + 2 * `ahead` cases are in memory.
    """

    work: Work
    begun: Callable[[Case], None]
    ended: Callable[[Ended], None]
    ahead: int = 1
    together: int = 1

    def travel(self, cases: Iterable[Case], stop: StopRequest) -> None:
        """All cases to their end, or to that of the cases at hand where a stop is asked for.

        Raises Interrupted then, and OutputError as soon as a case cannot be written; what is done is whole.
        """
        threads, readers = torch.get_num_threads(), max(1, self.ahead)
        # Each case is read and prepared by one thread alone, so that sums are rounded alike on every machine.
        with (
            ThreadPoolExecutor(readers, "", torch.set_num_threads, (1,)) as reader,
            self._askers() as asker,
            ThreadPoolExecutor(1) as writer,
        ):
            waiting = iter(cases)
            reading: deque[Future[Ready | Failure]] = deque()
            asking: deque[Future[Asked]] = deque()
            writing: deque[Future[None]] = deque()
            try:
                while True:
                    for case in islice(waiting, self.together + self.ahead - len(reading) - len(asking)):
                        reading.append(reader.submit(self._read, case))
                    if not reading and not asking:
                        break
                    stop.check()
                    while reading and len(asking) < self.together:
                        asking.append(asker.submit(self._ask, reading.popleft(), stop))
                    writing.append(writer.submit(self._write, asking.popleft().result()))
                    _wait_for(writing, left=self.ahead)
                _wait_for(writing, left=0)
            except Interrupted:
                for asked in asking:
                    with suppress(Interrupted):
                        writer.submit(self._write, asked.result())
                raise
            finally:
                reader.shutdown(cancel_futures=True)
                torch.set_num_threads(threads)  # a thread's own number is also what threads started later begin with

    def _askers(self) -> Executor:
        """Who asks the network: for one case at a time this thread, else threads that leave the cores to it."""
        return _Here() if self.together == 1 else ThreadPoolExecutor(self.together, "", torch.set_num_threads, (1,))

    def _ask(self, read: Future[Ready | Failure], stop: StopRequest) -> Asked:
        """What the network says of a case as soon as it is read. Raises Interrupted where a stop was asked for."""
        ready = read.result()
        stop.check()
        return ready if isinstance(ready, Failure) else self.work.ask(ready)

    def _read(self, case: Case) -> Ready | Failure:
        self.begun(case)
        return self.work.read(case)

    def _write(self, answered: Answered | Failure) -> None:
        self.ended(answered if isinstance(answered, Failure) else self.work.write(answered))


class _Here(Executor):
    """Does everything at once, in the thread that submits it; what goes wrong is raised there."""

    def submit(self, fn: Callable[..., Given], /, *args: object, **kwargs: object) -> Future[Given]:
        done: Future[Given] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def _wait_for(writing: deque[Future[None]], *, left: int) -> None:
    """Wait until at most so many cases are still to be written. Raises what went wrong in writing."""
    while len(writing) > left:
        writing.popleft().result()
