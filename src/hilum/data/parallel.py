"""Work on many cases side by side, a thread a core."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from hilum.hardware import usable_cores

MAX_AT_ONCE = 8
"""Cases worked on side by side: each takes memory of its own meanwhile."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """The results of `work` on each item, in order; the first error ends it.

    Within each thread torch computes alone: several threads of several threads each would get in each other's way, and
    sums would be rounded otherwise on a machine with more cores.
    """
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(min(MAX_AT_ONCE, usable_cores()), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            yield from pool.map(work, items)
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)  # a thread's own number is also what threads started later begin with


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Torch computes in this thread only: with several, sums are rounded otherwise, as many ways as there are cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
