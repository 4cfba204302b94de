"""Samples of prepared cases: which slice and which patch is a pure function of (seed, epoch, sample index)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt
import torch

from hilum.case import Case, Sample
from hilum.data.cache import CacheFullError
from hilum.data.findings import of_case, severe
from hilum.data.parallel import side_by_side
from hilum.data.patches import cut, patch_start
from hilum.data.prepared import Prepared
from hilum.data.store import Store
from hilum.errors import DataError, Finding
from hilum.problem import IGNORE, Problem
from hilum.random import generator

MAX_OPEN = 20_000
"""Cases held open at a time: Linux gives a process about 65 000 maps."""


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
        """(..., I, J, K) for a 3D network; without the sliced axis for a 2D one."""
        return array if self.slice_axis is None else array.squeeze(self.slice_axis - 3)


class Dataset:
    """Samples drawn from cases, which are mapped from the store's files; those without a file stay in memory."""

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
        """`memory_bytes` bounds the cases in memory; those beyond it are prepared anew for each sample.

        `case_faults` says why a prepared case does not fit the experiment; `prepare` asks it.
        """
        self.cases = tuple(cases)
        self.store = store
        self.sampling = sampling
        self.seed = seed
        self.memory_bytes = memory_bytes
        self._case_faults = case_faults
        self._kept: dict[int, Prepared] = {}
        self._kept_bytes = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def problem(self) -> Problem:
        """The problem that the targets are encoded for."""
        return self.store.problem

    def prepare(self, progress: Callable[[int, int], None] | None = None) -> tuple[Finding, ...]:
        """Prepare every case once, several at a time; gives the warnings about them.

        `progress` is told how many of how many are done, and may raise. Raises DataError with every finding where a
        case cannot be used.
        """
        findings: list[Finding] = []
        for done, found in enumerate(side_by_side(self._found, range(len(self.cases))), start=1):
            findings += found
            if progress is not None:
                progress(done, len(self.cases))
        if severe(findings):
            raise DataError(findings)
        return tuple(findings)

    def prepared(self, index: int) -> Prepared:
        """The prepared case at a position of `cases`."""
        with self._lock:
            kept = self._kept.get(index)
        if kept is not None:
            return kept
        case = self.cases[index]
        prepared = self.store.get(case)
        # A case that is mapped takes no memory; kept open it stays as it is, whatever becomes of its files.
        num_bytes = 0 if self.store.keeps(case) else prepared.num_bytes
        with self._lock:
            room = num_bytes <= self.memory_bytes - self._kept_bytes and len(self._kept) < MAX_OPEN
            if index not in self._kept and room:
                self._kept[index] = prepared
                self._kept_bytes += num_bytes
        return prepared

    def together(self, case_indices: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Images (B, C, *spatial) and targets (B, ...) of whole cases with a label each, as of the samples one by one.

        None where samples are parts of cases, or sizes differ. Small images go through Python once a batch this way,
        not once each: a thread that makes batches holds back the loop meanwhile.
        """
        if self.problem.dense:
            return None
        cases = [self.prepared(index) for index in case_indices]
        shape = cases[0].image.shape
        if self.sampling.size(shape[1:]) != shape[1:] or any(case.image.shape != shape for case in cases):
            return None
        images = self.sampling.flat(np.stack([case.image for case in cases]))
        labels = np.stack([np.asarray(case.target) for case in cases])
        return torch.from_numpy(images), label_target(labels, self.problem)

    def sample(self, case_index: int, *, epoch: int, index: int) -> Sample:
        """The sample with global index `index` of an epoch: a patch, a slice or the whole prepared case."""
        return self.sample_around(None, case_index, epoch=epoch, index=index)

    def sample_around(self, structures: tuple[int, ...] | None, case_index: int, *, epoch: int, index: int) -> Sample:
        """The same, but a patch is always placed around one of `structures`, and anywhere where that is empty.

        None: around any that the case shows, as often as the sampling says.
        """
        prepared = self.prepared(case_index)
        shape = prepared.image.shape[1:]
        size = self.sampling.size(shape)
        start: tuple[int, ...] = (0, 0, 0)
        outside: npt.ArrayLike = 0.0
        if size != shape:
            rng = generator(self.seed, epoch, index, "patch")
            # Outside a missing channel (NaN) there is nothing either: a zero would make it look half there.
            outside = np.where(np.isnan(prepared.image[:, 0, 0, 0]), np.nan, 0.0)
            spots, foreground = prepared.structures, self.sampling.foreground
            if structures is not None:
                spots, foreground = {structure: spots[structure] for structure in structures}, 1.0
            start = patch_start(rng, shape, size, structures=spots, foreground=foreground)
        image = torch.from_numpy(self.sampling.flat(cut(prepared.image, start, size, fill=outside)))
        if self.problem.kind == "restoration":
            # Beyond the image nobody knows what is wanted: NaN, which no loss sees.
            whole = prepared.image if prepared.target is None else np.asarray(prepared.target)
            wanted = self.sampling.flat(cut(whole, start, size, fill=np.nan))
            return Sample(prepared.case.id, image, torch.from_numpy(wanted))
        assert prepared.target is not None
        if isinstance(prepared.target, int) or prepared.target.ndim == 1:
            return Sample(prepared.case.id, image, label_target(prepared.target, self.problem))
        target = torch.from_numpy(self.sampling.flat(cut(prepared.target, start, size, fill=IGNORE))).long()
        return Sample(prepared.case.id, image, target[0] if self.problem.exclusive else target)

    def _found(self, index: int) -> list[Finding]:
        """What is wrong or odd with a case."""
        case = self.cases[index]
        try:
            prepared = self.prepared(index)
        except CacheFullError:  # no case's fault, and the same for all that follow
            raise
        except DataError as error:
            return of_case(error, case)
        faults = self._case_faults(prepared) if self._case_faults is not None else []
        return [*prepared.findings, *(Finding("error", "does not fit", case.id, fix=fault) for fault in faults)]


def label_target(label: int | npt.NDArray[np.generic], problem: Problem) -> torch.Tensor:
    """The target of a label as losses take it: an index (), findings (L,) int64, or numbers (T,) float32 as the network
    answers them, which is in standard deviations from the mean where the problem has scales. Or those of (B, ...) many.
    """
    if not problem.continuous:
        return torch.as_tensor(label).long()
    values = np.asarray(label, dtype=np.float64)
    if problem.scales:
        means, stds = np.array(problem.scales).T
        values = (values - means) / stds
    return torch.from_numpy(values.astype(np.float32))
