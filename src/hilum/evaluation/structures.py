"""Each structure of a case as truth and prediction have it, cut to the box that holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hilum.geometry.surfaces import enclosing_box, label_boxes
from hilum.metrics.pair import MaskPair

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from hilum.problem import Problem
    from hilum.volume import Grid

    Labels = npt.NDArray[np.integer]


def structure_pairs(
    truth: Labels, predicted: Labels, *, problem: Problem, grid: Grid
) -> Iterator[tuple[str, MaskPair]]:
    """Name and masks of every foreground class or region, from label values (I, J, K) on `grid`.

    Voxels that the truth ignores are in neither mask. Boxes of many structures are found in one pass over each label
    image, so that a case with a hundred small structures costs little more than one with ten.
    """
    groups = [[int(value) for value in group] for group in problem.values[-len(problem.foreground) :]]
    values = sorted({value for group in groups for value in group})
    both = [label_boxes(labels, values) for labels in (truth, predicted)]
    voxel_ml = voxel_volume_ml(grid)
    for name, group in zip(problem.foreground, groups, strict=True):
        box = enclosing_box([boxes[value] for boxes in both for value in group])
        true, found = (_member(labels[box], group) for labels in (truth, predicted))
        if problem.ignore is not None:
            seen = truth[box] != problem.ignore
            true, found = true & seen, found & seen
        yield name, MaskPair(true, found, grid.spacing, grid.unit, image_shape=grid.shape, voxel_ml=voxel_ml)


def voxel_volume_ml(grid: Grid) -> float | None:
    """The volume of a voxel in ml; None where the image has no size."""
    i, j, k = grid.affine[:3, :3].T
    return abs(float(np.cross(i, j) @ k)) / 1000 if grid.unit == "mm" else None


def _member(labels: Labels, values: Sequence[int]) -> npt.NDArray[np.bool_]:
    mask: npt.NDArray[np.bool_] = labels == values[0]
    for value in values[1:]:
        mask |= labels == value
    return mask
