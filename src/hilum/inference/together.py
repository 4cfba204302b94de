"""One network that several threads ask: what waits for it passes it together, as one batch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager

import torch
from torch import Tensor

Asked = tuple[Tensor, "Future[Tensor]"]


def one_thread() -> Executor:
    """The thread in which networks are called that others ask: with as many cores as the thread that calls this."""
    return ThreadPoolExecutor(1, "network", torch.set_num_threads, (torch.get_num_threads(),))


class Together:
    """Logits (B, num_outputs, *spatial) of images (B, C, *spatial), for any number of threads that ask at a time.

    While the network is busy further images wait; then those of one size pass it together, the longest waiting first
    and up to `batch_size` of them. Which images meet depends on the clock, and so does how sums are rounded. What does
    not fit into memory together is tried one by one, so that a thread hears of its own images alone.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        *,
        batch_size: int,
        autocast: Callable[[], AbstractContextManager[object]],
        thread: Executor,
    ) -> None:
        """`thread` is that of `one_thread`, which several networks may share."""
        self._network, self._batch_size, self._autocast, self._thread = network, batch_size, autocast, thread
        self._waiting: list[Asked] = []
        self._lock = threading.Lock()

    def __call__(self, images: Tensor) -> Tensor:
        """The logits, once it is these images' turn. Raises what the network raises for them."""
        answer: Future[Tensor] = Future()
        with self._lock:
            self._waiting.append((images, answer))
        self._thread.submit(self._serve)
        return answer.result()

    def _serve(self) -> None:
        """Ask the network about those that waited longest; nothing is left where an earlier call took all."""
        asked = self._next()
        if len(asked) > 1:
            try:
                _tell(asked, self._logits(torch.cat([images for images, _ in asked])))
            except Exception:  # the images of one of them, or all together: each hears of its own
                for one in asked:
                    self._serve_alone(one)
        elif asked:
            self._serve_alone(asked[0])

    def _serve_alone(self, asked: Asked) -> None:
        try:
            _tell([asked], self._logits(asked[0]))
        except Exception as error:
            asked[1].set_exception(error)

    def _next(self) -> list[Asked]:
        """The images that pass the network next: those that waited longest, and all of their size that fit beside."""
        chosen: list[Asked] = []
        left: list[Asked] = []
        room = self._batch_size
        with self._lock:
            for one in self._waiting:
                images = one[0]
                fits = not chosen or (images.shape[1:] == chosen[0][0].shape[1:] and len(images) <= room)
                (chosen if fits else left).append(one)
                room -= len(images) if fits else 0
            self._waiting = left
        return chosen

    def _logits(self, images: Tensor) -> Tensor:
        with torch.no_grad(), self._autocast():  # both are a thread's own
            return self._network(images)


def _tell(asked: list[Asked], logits: Tensor) -> None:
    """Give each the logits of its own images."""
    for (_, answer), own in zip(asked, logits.split([len(images) for images, _ in asked]), strict=True):
        answer.set_result(own)
