"""Work side by side: in order, each piece in one thread of torch, ended by the first error."""

import os
import threading
import time
from collections.abc import Iterator

import pytest
import torch

from hilum.data.parallel import MAX_AT_ONCE, alone, side_by_side
from hilum.hardware import usable_cores


@pytest.fixture
def three_threads() -> Iterator[None]:
    """Torch with more than one thread, as on a machine for training."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_whoever_is_first() -> None:
    def slow_for_small(number: int) -> int:
        time.sleep(0.01 / (number + 1))
        return number * number

    assert list(side_by_side(slow_for_small, range(12))) == [number * number for number in range(12)]
    assert list(side_by_side(slow_for_small, [])) == []
    assert threading.active_count() == 1


def test_cases_are_worked_on_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hilum.data.parallel.usable_cores", lambda: 4)
    together = threading.Barrier(4, timeout=10)  # breaks unless four are there at once
    assert sorted(side_by_side(lambda _: together.wait(), range(4))) == [0, 1, 2, 3]
    monkeypatch.setattr("hilum.data.parallel.usable_cores", lambda: 10_000)

    def thread(number: int) -> int:
        time.sleep(0.002)
        return threading.get_ident()

    assert len(set(side_by_side(thread, range(100)))) <= MAX_AT_ONCE


def test_the_first_error_ends_it() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        if number == 1:
            raise ValueError("broken")
        done.append(number)
        time.sleep(0.005)

    with pytest.raises(ValueError, match="broken"):
        list(side_by_side(work, range(500)))
    assert len(done) < 100
    assert threading.active_count() == 1


def test_each_piece_has_one_thread_of_torch_and_the_caller_keeps_its_own(three_threads: None) -> None:
    assert set(side_by_side(lambda _: torch.get_num_threads(), range(6))) == {1}
    assert torch.get_num_threads() == 3
    with alone():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3
    with pytest.raises(ValueError, match="x"), alone():
        raise ValueError("x")
    assert torch.get_num_threads() == 3


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a system that binds processes to cores")
def test_the_cores_of_a_batch_system_are_those_that_count() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert usable_cores() == len(before)
