"""The probabilities of one image on its own grid: kept in a file while they are found, then written as NIfTI."""

from __future__ import annotations

import math
import mmap
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from hilum.case import ImageRef
from hilum.formats.nifti_channels import Channels, write_channels
from hilum.inference.section import Stored
from hilum.problem import Problem

HELD_BYTES = 2**26
"""Memory that a store takes, however large the image is: of what is written into it, or read back."""
PIECE_VOXELS = 2**14
"""Voxels that are written together: even if each lies on a page of 4 KiB of its own, they touch no more than that."""


class Pages:
    """Numbers (C, n) in a temporary file that is mapped into memory; it vanishes with the object or the process.

    Raises OSError where the folder has no room for them.
    """

    def __init__(self, fills: Sequence[float], count: int, dtype: np.dtype[Any], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            # Written, not skipped: a disk that turns out to be full under a mapped file kills the process.
            for fill in fills:
                _fill(file, np.array(fill, dtype), count)
            file.flush()
            self._mapped = mmap.mmap(file.fileno(), 0)
        self.values = np.frombuffer(self._mapped, dtype).reshape(len(fills), count)

    def let_go(self) -> None:
        """Leave what was touched to the file, so that it does not count as memory of this process."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._mapped.madvise(mmap.MADV_DONTNEED)


class Store:
    """Probabilities (C, I, J, K) in a temporary file, which vanishes with the object or the process.

    They come by `visit`, some voxels at a time. Where none come, nothing was seen: the background is certain. Raises
    OSError where the folder has no room for them.
    """

    def __init__(self, problem: Problem, shape: tuple[int, int, int], *, stored: Stored, folder: Path) -> None:
        self._problem, self._shape, self._most = problem, shape, _most(stored)
        self._dtype = np.dtype(stored)
        outside = [self._most if problem.exclusive and channel == 0 else 0 for channel in range(problem.num_outputs)]
        self._pages = Pages(outside, math.prod(shape), self._dtype, folder)

    def visit(self, voxels: Tensor, probabilities: Tensor) -> None:
        """Take the probabilities (C, n) of voxels (n,), which are flat indices of the image's grid."""
        places = voxels.cpu().numpy()
        for own, values in zip(self._pages.values, probabilities.cpu().numpy(), strict=True):
            for first in range(0, len(places), PIECE_VOXELS):
                part = slice(first, first + PIECE_VOXELS)
                own[places[part]] = self._coded(values[part])
                self._pages.let_go()  # voxels that lie scattered touch a page of memory each

    def write(self, like: ImageRef, out: Path) -> None:
        """Write them to `out` on the grid of the image `like`. Raises OSError where that cannot be written."""
        channels = Channels(self._problem.classes, self._dtype, step=1 / self._most)
        write_channels(self._slabs(), channels, like=like, out=out)

    def _coded(self, values: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """As they are stored, to the nearest step."""
        values = values.clip(0, 1)  # sums of an ensemble may be rounded to somewhat more than 1
        return (
            values if self._dtype.kind == "f" else np.rint(values.astype(np.float64) * self._most).astype(self._dtype)
        )

    def _slabs(self) -> Iterator[npt.NDArray[Any]]:
        """Slabs (I, J, k) along K, channel after channel, as NIfTI has its voxels."""
        width, height, depth = self._shape
        thick = max(1, HELD_BYTES // 2 // (width * height * self._dtype.itemsize))
        rows = max(1, HELD_BYTES // 2 // (height * depth * self._dtype.itemsize))
        for channel in self._pages.values:
            volume = channel.reshape(self._shape)
            for first in range(0, depth, thick):
                slab = np.empty((width, height, min(thick, depth - first)), self._dtype, order="F")
                for row in range(0, width, rows):  # a slab goes across the whole file: let go of each part at once
                    slab[row : row + rows] = volume[row : row + rows, :, first : first + thick]
                    self._pages.let_go()
                yield slab


def _most(stored: Stored) -> float:
    """What stands for a probability of 1."""
    return 1.0 if stored == "float32" else float(np.iinfo(stored).max)


def _fill(file: Any, value: npt.NDArray[Any], count: int) -> None:
    """Write a number so many times."""
    piece = np.full(min(count, HELD_BYTES // 4 // value.itemsize), value).tobytes()
    whole, rest = divmod(count * value.itemsize, len(piece))
    for _ in range(whole):
        file.write(piece)
    file.write(piece[:rest])
