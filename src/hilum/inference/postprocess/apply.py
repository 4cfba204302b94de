"""Applies post-processing steps to label values, and says what becomes of a voxel that joins or leaves a structure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.geometry.components import voxels_of
from hilum.geometry.surfaces import bounding_box
from hilum.inference.postprocess.base import Mask, PostprocessConfig
from hilum.problem import Problem
from hilum.volume import Grid

Labels = npt.NDArray[np.integer]


@dataclass(frozen=True)
class LabelSets:
    """Which structures each label value stands for: none for the background, several where regions overlap."""

    members: dict[int, frozenset[str]]

    @classmethod
    def of(cls, problem: Problem) -> LabelSets:
        """Those of a segmentation."""
        members: dict[int, frozenset[str]] = {} if problem.exclusive else {0: frozenset()}
        for name, values in zip(problem.classes, problem.values, strict=True):
            for value in map(int, values):
                own = {name} if name in problem.foreground else set()
                members[value] = members.get(value, frozenset()) | own
        return cls(members)

    def inside(self, names: Iterable[str]) -> list[int]:
        """The label values that stand for at least one of these structures."""
        return [value for value, own in self.members.items() if not own.isdisjoint(names)]

    def without(self, value: int, names: Iterable[str]) -> int:
        """What a voxel that leaves these structures becomes: the value of the most structures that it is left in."""
        left = self.members[value].difference(names)
        return max((v for v, own in self.members.items() if own <= left), key=lambda v: len(self.members[v]))

    def joined(self, value: int, names: Iterable[str]) -> int:
        """What a voxel that joins these structures becomes: the value of the fewest that are all its own and these.

        It stays as it is where no value stands for all of them, as between classes that exclude each other.
        """
        wanted = self.members[value].union(names)
        fitting = [v for v, own in self.members.items() if wanted <= own]
        return min(fitting, key=lambda v: len(self.members[v]), default=value)


def postprocessed(labels: Labels, grid: Grid, *, steps: Sequence[PostprocessConfig], problem: Problem) -> Labels:
    """Label values (I, J, K) after each step; the array given stays as it is."""
    for step in steps:
        box, after = change(labels, grid, step=step, problem=problem)
        if after is not None:
            labels = labels.copy()
            labels[box] = after
    return labels


def change(
    labels: Labels, grid: Grid, *, step: PostprocessConfig, problem: Problem
) -> tuple[tuple[slice, ...], Labels | None]:
    """The box that holds the structure of a step, and the label values in it afterwards; None where nothing changes."""
    sets = LabelSets.of(problem)
    structure = voxels_of(labels, sets.inside(step.of))
    box = bounding_box(structure)
    before = structure[box]
    if not before.size:
        return box, None
    flat = before.reshape([size for size, whole in zip(before.shape, labels.shape, strict=True) if whole > 1] or [1])
    after = step.apply(flat, voxel_ml(grid)).reshape(before.shape)
    if np.array_equal(before, after):
        return box, None
    changed = labels[box].copy()
    _relabel(changed, before & ~after, {v: sets.without(v, step.of) for v in sets.members})
    _relabel(changed, after & ~before, {v: sets.joined(v, step.of) for v in sets.members})
    return box, changed


def voxel_ml(grid: Grid) -> float | None:
    """The size of a voxel; None where the image has none."""
    return abs(float(np.linalg.det(grid.affine[:3, :3]))) / 1000 if grid.unit == "mm" else None


def _relabel(labels: Labels, where: Mask, table: dict[int, int]) -> None:
    values, places = np.unique(labels[where], return_inverse=True)
    labels[where] = np.array([table[value] for value in values.tolist()], dtype=labels.dtype)[places]
