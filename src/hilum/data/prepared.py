"""One case made ready for training: read, encoded and prepared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from hilum.case import Case, ImageRef
from hilum.data.patches import structure_voxels
from hilum.errors import DataError
from hilum.formats.base import described
from hilum.formats.reading import read_image, read_mask
from hilum.prepare.base import PrepareConfig
from hilum.problem import Problem
from hilum.volume import Grid, Volume


@dataclass(frozen=True)
class Prepared:
    """A prepared case: image (C, I, J, K) float32 on its grid, its target (1 or R, I, J, K) int16 or a class index.

    A channel that is NaN throughout stands for a modality that the case lacks; no other voxel is NaN.
    `structures` are voxels (n, 3) of each structure that the target shows.
    """

    case: Case
    image: npt.NDArray[np.float32]
    target: npt.NDArray[np.int16] | int
    structures: dict[int, npt.NDArray[np.int32]]
    grid: Grid

    @property
    def num_bytes(self) -> int:
        """Memory that the arrays take."""
        target = self.target.nbytes if isinstance(self.target, np.ndarray) else 0
        return self.image.nbytes + target + sum(spots.nbytes for spots in self.structures.values())


def prepare_case(case: Case, problem: Problem, steps: Sequence[PrepareConfig]) -> Prepared:
    """The prepared case. Raises DataError naming the case for files, labels and values that cannot be used."""
    try:
        image = read_image(case.files)
        target = read_target(case, problem)
        if isinstance(target, Volume) and not target.grid.matches(image.grid):
            raise DataError(
                f"image and mask lie on different grids: {described(image.grid)} and {described(target.grid)}; "
                "resample one onto the other"
            )
        mask = target if isinstance(target, Volume) else None
        there = [index for index, ref in enumerate(case.images) if ref is not None]
        for step in steps:
            image, mask = (step.for_channels(there) if case.missing else step).apply(image, mask)
    except DataError as error:
        raise DataError(f"case {case.id}: {error}") from error
    if not torch.isfinite(image.tensor).all():
        raise DataError(f"case {case.id}: the image holds NaN or infinite values")
    pixels = with_missing(np.ascontiguousarray(image.tensor.numpy(), dtype=np.float32), case)
    labels = target if mask is None else np.ascontiguousarray(mask.tensor.numpy(), dtype=np.int16)
    structures = {} if isinstance(labels, int | Volume) else structures_of(labels, problem)
    if isinstance(labels, Volume):
        raise AssertionError("a preparation step dropped the mask")
    return Prepared(case, pixels, labels, structures, image.grid)


def with_missing(image: npt.NDArray[np.float32], case: Case) -> npt.NDArray[np.float32]:
    """All channels (C, I, J, K) of a case from those that it has: NaN stands for the missing ones."""
    if not case.missing:
        return image
    whole = np.full((len(case.images), *image.shape[1:]), np.nan, dtype=np.float32)
    whole[[index for index, ref in enumerate(case.images) if ref is not None]] = image
    return whole


def read_target(case: Case, problem: Problem) -> Volume | int:
    """The encoded mask on the grid of its file, or the class index. Raises DataError where there is no usable one."""
    if case.label is None:
        raise DataError("has no label")
    if problem.kind == "classification":
        if not isinstance(case.label, str):
            raise DataError(f"has a mask ({case.label}), a classification needs a class")
        return problem.encode_class(case.label)
    if not isinstance(case.label, ImageRef):
        raise DataError(f"has the class '{case.label}', a segmentation needs a mask")
    mask = read_mask(case.label)
    try:
        return Volume(torch.from_numpy(problem.encode(mask.tensor[0].numpy())), mask.grid)
    except DataError as error:
        raise DataError(f"{case.label}: {error}") from error


def structures_of(target: npt.NDArray[np.int16], problem: Problem) -> dict[int, npt.NDArray[np.int32]]:
    """Voxels of each structure that a target shows."""
    first = problem.num_outputs - len(problem.foreground)
    return structure_voxels(target, range(first, problem.num_outputs), exclusive=problem.exclusive)
