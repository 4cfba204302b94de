"""Samples of prepared cases: which case, which slice and which patch is a pure function of (seed, epoch, sample index)."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
import numpy.typing as npt
import torch

from hilum.case import Case, Sample
from hilum.data.patches import cut, patch_start
from hilum.data.prepared import Prepared, Store
from hilum.errors import DataError
from hilum.problem import IGNORE, Problem
from hilum.random import generator


class Dataset:
    """Samples drawn from cases. Prepared cases stay in memory up to a limit, the others are read from the store again."""

    def __init__(
        self,
        cases: Sequence[Case],
        store: Store,
        *,
        patch: tuple[int, ...] | None,
        foreground: float,
        slice_axis: int | None,
        seed: int,
        memory_bytes: int = 2 * 2**30,
    ) -> None:
        self.cases = tuple(cases)
        self.store = store
        self.patch = patch
        self.foreground = foreground
        self.slice_axis = slice_axis
        self.seed = seed
        self.memory_bytes = memory_bytes
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
        """Prepare every case once, on all cores; `progress` is told how many of how many are done.

        Raises DataError listing every case that cannot be used.
        """
        faults: list[str] = []
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            futures = [pool.submit(self.prepared, index) for index in range(len(self.cases))]
            for done, future in enumerate(futures, start=1):
                try:
                    future.result()
                except DataError as error:
                    faults.append(str(error))
                if progress is not None:
                    progress(done, len(futures))
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
        size = self._size(shape)
        start: tuple[int, ...] = (0, 0, 0)
        if size != shape:
            start = patch_start(rng, shape, size, structures=prepared.structures, foreground=self.foreground)
        image = torch.from_numpy(self._flat(cut(prepared.image, start, size, fill=0.0)))
        if isinstance(prepared.target, int):
            return Sample(prepared.case.id, image, torch.tensor(prepared.target))
        target = torch.from_numpy(self._flat(cut(prepared.target, start, size, fill=IGNORE))).long()
        return Sample(prepared.case.id, image, target[0] if self.problem.exclusive else target)

    def _size(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.slice_axis is None:
            return self.patch or shape
        size = list(self.patch) if self.patch else [n for axis, n in enumerate(shape) if axis != self.slice_axis]
        size.insert(self.slice_axis, 1)
        return tuple(size)

    def _flat(self, array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """(C, I, J, K) for a 3D network; without the sliced axis for a 2D one."""
        return array if self.slice_axis is None else array.squeeze(self.slice_axis + 1)
