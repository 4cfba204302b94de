"""Batches in a seeded order, made ahead by threads; the order and content depend only on (seed, epoch, index)."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch

from hilum.case import Batch, Sample
from hilum.data.balance import ClassBalance
from hilum.data.dataset import Dataset
from hilum.data.modalities import drop_channels
from hilum.errors import DataError
from hilum.random import generator


@dataclass(frozen=True)
class Batches:
    """Training batches of a dataset: `batch_size` samples over all ranks, of which this rank makes its share.

    An epoch visits every case `samples_per_case` times in a seeded order, or takes `steps` batches where that is given.
    With `balance` a patch that is placed on a structure may come from another case instead, see `ClassBalance`. With
    probability `dropout` a sample loses (NaN) a channel that it has, each on its own, but never all of them.
    """

    dataset: Dataset
    batch_size: int
    seed: int
    samples_per_case: int = 1
    steps: int | None = None
    dropout: float = 0.0
    balance: ClassBalance | None = None
    workers: int = 2
    rank: int = 0
    world: int = 1

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one epoch; the last one is filled up with the samples that the next pass would begin with."""
        return self.steps or -(-len(self.dataset) * self.samples_per_case // self.batch_size)

    def epoch(self, epoch: int, *, first_step: int = 0) -> Generator[Batch]:
        """The batches of an epoch from `first_step` on, made ahead by `workers` threads.

        Closing the iterator ends the threads. Raises what made a batch fail, in its place among the others.
        """
        order = self._order(epoch)
        ahead = max(2, 2 * self.workers)
        pending: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(max_workers=self.workers, thread_name_prefix="batches") as pool:
            try:
                for step in range(first_step, self.steps_per_epoch):
                    pending.append(pool.submit(self._batch, epoch, step, order))
                    if len(pending) > ahead:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                for future in pending:
                    future.cancel()

    def _order(self, epoch: int) -> list[int]:
        """The case of each sample: full passes over all cases, each pass shuffled on its own."""
        needed = self.steps_per_epoch * self.batch_size
        passes = -(-needed // len(self.dataset))
        order: list[int] = []
        for number in range(passes):
            order += generator(self.seed, epoch, number, "order").permutation(len(self.dataset)).tolist()
        return order[:needed]

    def _batch(self, epoch: int, step: int, order: Sequence[int]) -> Batch:
        share = self.batch_size // self.world
        first = step * self.batch_size + self.rank * share
        indices = tuple(range(first, first + share))
        if self.balance is None and not self.dropout:
            cases = [order[index] for index in indices]
            if (made := self.dataset.together(cases)) is not None:
                return Batch(tuple(self.dataset.cases[case].id for case in cases), epoch, indices, *made)
        samples = [self._sample(order[index], epoch, index) for index in indices]
        return collate(samples, epoch=epoch, indices=indices)

    def _sample(self, case_index: int, epoch: int, index: int) -> Sample:
        if self.balance is None:
            sample = self.dataset.sample(case_index, epoch=epoch, index=index)
        else:
            rng = generator(self.seed, epoch, index, "structure")
            case_index, structures = self.balance.draw(rng, case_index)
            sample = self.dataset.sample_around(structures, case_index, epoch=epoch, index=index)
        if not self.dropout:
            return sample
        image = drop_channels(sample.image, generator(self.seed, epoch, index, "channels"), self.dropout)
        return replace(sample, image=image)


def collate(samples: Sequence[Sample], *, epoch: int, indices: tuple[int, ...]) -> Batch:
    """Samples side by side. Raises DataError where their sizes differ, with the settings that make them equal."""
    shapes = {tuple(sample.image.shape) for sample in samples}
    if len(shapes) > 1:
        first, other = samples[0], next(s for s in samples if s.image.shape != samples[0].image.shape)
        raise DataError(
            f"cases of different sizes cannot share a batch: {first.id} is {tuple(first.image.shape)}, "
            f"{other.id} is {tuple(other.image.shape)}; "
            "give data.patch.size, add a resize step to data.prepare, or set data.batch_size=1"
        )
    return Batch(
        ids=tuple(sample.id for sample in samples),
        epoch=epoch,
        indices=indices,
        images=torch.stack([sample.image for sample in samples]),
        targets=torch.stack([sample.target for sample in samples]),
    )
