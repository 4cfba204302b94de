"""Samples of prepared cases: which slice and which patch is a pure function of (seed, epoch, sample index)."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt
import torch

from hilum.case import Case, Sample
from hilum.data.patches import cut, patch_start
from hilum.data.prepared import Prepared
from hilum.data.store import Store
from hilum.errors import DataError
from hilum.problem import IGNORE, Problem
from hilum.random import generator

MAX_PREPARED_AT_ONCE = 8
"""Cases prepared side by side: each takes memory of its own while it is worked on."""


@dataclass(frozen=True)
class Sampling:
    """What of a case becomes a sample: a patch, a slice across `slice_axis` (2D networks), both, or all of it.

    `foreground` is the share of patches that are placed around a voxel of a structure.
    """

    patch: tuple[int, ...] | None = None
    foreground: float = 0.0
    slice_axis: int | None = None

    def size(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Voxels (I, J, K) of a sample of an image of `shape` (I, J, K)."""
        if self.slice_axis is None:
            return self.patch or shape
        size = list(self.patch) if self.patch else [n for axis, n in enumerate(shape) if axis != self.slice_axis]
        size.insert(self.slice_axis, 1)
        return tuple(size)

    def flat(self, array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """(C, I, J, K) for a 3D network; without the sliced axis for a 2D one."""
        return array if self.slice_axis is None else array.squeeze(self.slice_axis + 1)


class Dataset:
    """Samples drawn from cases; prepared ones stay in memory up to a limit, others are read from the store again."""

    def __init__(
        self,
        cases: Sequence[Case],
        store: Store,
        *,
        sampling: Sampling,
        seed: int,
        memory_bytes: int = 2 * 2**30,
        case_faults: Callable[[Prepared], list[str]] | None = None,
    ) -> None:
        """`case_faults` says why a prepared case does not fit the experiment; `prepare` asks it."""
        self.cases = tuple(cases)
        self.store = store
        self.sampling = sampling
        self.seed = seed
        self.memory_bytes = memory_bytes
        self._case_faults = case_faults
        self._kept: OrderedDict[int, Prepared] = OrderedDict()
        self._kept_bytes = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def problem(self) -> Problem:
        """The problem that the targets are encoded for."""
        return self.store.problem

    def prepare(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Prepare every case once, several at a time; `progress` is told how many of how many are done, and may raise.

        Raises DataError listing every case that cannot be used.
        """
        faults: list[str] = []
        with ThreadPoolExecutor(max_workers=min(MAX_PREPARED_AT_ONCE, os.cpu_count() or 1)) as pool:
            try:
                for done, fault in enumerate(pool.map(self._fault, range(len(self.cases))), start=1):
                    faults += [fault] if fault else []
                    if progress is not None:
                        progress(done, len(self.cases))
            finally:
                pool.shutdown(cancel_futures=True)
        if faults:
            more = f"\n... and {len(faults) - 20} more" if len(faults) > 20 else ""
            raise DataError("\n".join(faults[:20]) + more)

    def prepared(self, index: int) -> Prepared:
        """The prepared case at a position of `cases`."""
        with self._lock:
            kept = self._kept.get(index)
        if kept is not None:
            return kept
        prepared = self.store.get(self.cases[index])
        with self._lock:
            if index not in self._kept and self._kept_bytes + prepared.num_bytes <= self.memory_bytes:
                self._kept[index] = prepared
                self._kept_bytes += prepared.num_bytes
        return prepared

    def sample(self, case_index: int, *, epoch: int, index: int) -> Sample:
        """The sample with global index `index` of an epoch: a patch, a slice or the whole prepared case."""
        prepared = self.prepared(case_index)
        rng = generator(self.seed, epoch, index, "patch")
        shape = prepared.image.shape[1:]
        size = self.sampling.size(shape)
        start: tuple[int, ...] = (0, 0, 0)
        if size != shape:
            foreground = self.sampling.foreground
            start = patch_start(rng, shape, size, structures=prepared.structures, foreground=foreground)
        image = torch.from_numpy(self.sampling.flat(cut(prepared.image, start, size, fill=0.0)))
        if isinstance(prepared.target, int):
            return Sample(prepared.case.id, image, torch.tensor(prepared.target))
        target = torch.from_numpy(self.sampling.flat(cut(prepared.target, start, size, fill=IGNORE))).long()
        return Sample(prepared.case.id, image, target[0] if self.problem.exclusive else target)

    def _fault(self, index: int) -> str | None:
        """Why a case cannot be used. Keeps no case alive: what is over the memory limit is let go."""
        try:
            prepared = self.prepared(index)
        except DataError as error:
            return str(error)
        faults = self._case_faults(prepared) if self._case_faults is not None else []
        return f"case {self.cases[index].id}: {'; '.join(faults)}" if faults else None
