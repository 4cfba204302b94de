"""Threads that ask one network at once: each hears of its own images, and what waited passes the network together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from hilum.inference.together import Together, one_thread

PATIENCE_S = 60.0


class Doubling:
    """A network that notes what it was asked, and answers the first call only once it is let go."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.busy, self.let_go = threading.Event(), threading.Event()
        self.gradients: list[bool] = []

    def __call__(self, images: Tensor) -> Tensor:
        self.sizes.append(len(images))
        self.gradients.append(torch.is_grad_enabled())
        self.busy.set()
        assert self.let_go.wait(PATIENCE_S)
        if len(images) > 1 and bool((images < 0).any()):
            raise MemoryError("no room for so many")
        if bool((images < -1).any()):
            raise ValueError("below -1")
        return 2 * images


@pytest.fixture
def thread() -> Iterator[Executor]:
    with one_thread() as thread:
        yield thread


@pytest.fixture
def ask(thread: Executor) -> Iterator[Callable[..., tuple[Doubling, list[Future[Tensor]]]]]:
    """Asks about one image while others wait, in the order given; gives the network and the answers to come."""
    network = Doubling()
    together = Together(network, batch_size=4, autocast=nullcontext, thread=thread)
    with ThreadPoolExecutor(10) as threads:

        def ask(first: Tensor, *waiting: Tensor) -> tuple[Doubling, list[Future[Tensor]]]:
            answers = [threads.submit(together, first)]
            assert network.busy.wait(PATIENCE_S)
            for number, images in enumerate(waiting, 1):
                answers.append(threads.submit(together, images))
                while len(together._waiting) < number:
                    threading.Event().wait(0.001)
            network.let_go.set()
            return network, answers

        yield ask


Ask = Callable[..., tuple[Doubling, list[Future[Tensor]]]]


def test_each_thread_hears_of_its_own_images(ask: Ask) -> None:
    images = [torch.full((1 + number % 2, 1, 3), float(number)) for number in range(8)]
    _, answers = ask(*images)
    for own, answer in zip(images, answers, strict=True):
        assert torch.equal(answer.result(PATIENCE_S), 2 * own)


def test_what_waits_passes_together_up_to_a_batch_and_only_with_its_like(ask: Ask) -> None:
    small, large = torch.zeros(1, 1, 3), torch.zeros(1, 1, 5)
    network, answers = ask(small, small, large, small.expand(3, 1, 3), small, large)
    for answer in answers:
        answer.result(PATIENCE_S)
    assert network.sizes == [1, 4, 2, 1]  # 1 + 3 of the small ones, both large ones, the small one without room
    assert not any(network.gradients)


def test_images_that_fail_together_are_asked_alone(ask: Ask) -> None:
    _, (first, good, spoilt, fine) = ask(
        torch.ones(1, 1, 3), torch.ones(1, 1, 3), torch.full((1, 1, 3), -2.0), torch.full((1, 1, 3), -1.0)
    )
    assert torch.equal(first.result(PATIENCE_S), good.result(PATIENCE_S))
    assert torch.equal(fine.result(PATIENCE_S), torch.full((1, 1, 3), -2.0))
    with pytest.raises(ValueError, match="below -1"):
        spoilt.result(PATIENCE_S)


def test_more_images_than_a_batch_pass_at_once_if_they_come_at_once(ask: Ask) -> None:
    network, answers = ask(torch.zeros(1, 1, 3), torch.zeros(6, 1, 3), torch.zeros(1, 1, 3))
    assert [len(answer.result(PATIENCE_S)) for answer in answers] == [1, 6, 1]
    assert network.sizes == [1, 6, 1]
