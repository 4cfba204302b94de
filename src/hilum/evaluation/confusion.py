"""Counts of voxels by true and predicted label value, from which every overlap of structures follows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hilum.problem import Problem

Labels = npt.NDArray[np.integer]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Overlaps:
    """How truth and prediction overlap: `counts` (V, V) of voxels by true and predicted value, both as in `values`.

    `members` (C, V) says which values are in which foreground class or region. Ignored voxels are not counted.
    """

    counts: Counts
    values: Counts
    members: npt.NDArray[np.bool_]
    ignore: int | None = None

    @classmethod
    def of(cls, truth: Labels, labels: Labels, problem: Problem) -> Overlaps:
        """Those of two masks of label values of one shape."""
        known = {int(value) for group in problem.values for value in group} | {0}
        values = np.array(sorted(known), dtype=np.int64)
        empty = cls(np.zeros((len(values), len(values)), np.int64), values, problem.membership(values), problem.ignore)
        return replace(empty, counts=empty._count(truth, labels))

    def exchanged(self, truth: Labels, *, before: Labels, after: Labels) -> Overlaps:
        """The overlaps after a part of the prediction changed, from that part of the truth and of both predictions."""
        return replace(self, counts=self.counts - self._count(truth, before) + self._count(truth, after))

    @property
    def dice(self) -> npt.NDArray[np.float64]:
        """The Dice coefficient of each foreground class (C,); 1 where both are empty."""
        inside = self.members.astype(np.int64)
        shared = ((inside @ self.counts) * inside).sum(1)
        total = inside @ self.counts.sum(1) + inside @ self.counts.sum(0)
        return np.where(total > 0, 2 * shared / np.maximum(total, 1), 1.0)

    def _count(self, truth: Labels, labels: Labels) -> Counts:
        seen = np.ones(truth.shape, dtype=bool) if self.ignore is None else truth != self.ignore
        size = len(self.values)
        rows, columns = (np.searchsorted(self.values, each[seen]) for each in (truth, labels))
        return np.bincount(rows * size + columns, minlength=size * size).reshape(size, size)
