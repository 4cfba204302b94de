"""How far the networks of an ensemble are apart at each voxel: kept in a file while they answer, written as NIfTI."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hilum.case import ImageRef
from hilum.formats.nifti_channels import Channels, write_channels
from hilum.pipeline.predicting.probabilities import HELD_BYTES, PIECE_VOXELS, Pages
from hilum.problem import Problem

STEPS = 255
"""The disagreement is stored in so many steps from 0 to 1."""


class Spread:
    """The weighted Jensen-Shannon divergence (Lin 1991, doi:10.1109/18.61115) of the networks at each voxel.

    That is the entropy of their mean less the mean of their entropies, here as a share of the most that so many
    networks and classes can have: 0 where all say the same, whether or not they are sure of it. Networks of equal
    weight have that many times less than the disagreement of Lakshminarayanan et al. (2017, arXiv:1612.01474), which is
    a sum over them. Of regions it is the mean over them. `hear` is told what each network says, then `visit` the mean
    of all, of every voxel. Raises OSError where the folder has no room.
    """

    def __init__(self, problem: Problem, shape: tuple[int, int, int], *, shares: Sequence[float], folder: Path) -> None:
        self._exclusive, self._shape = problem.exclusive, shape
        entropy = -sum(share * math.log(share) for share in shares)
        self._most = min(entropy, math.log(problem.num_outputs if problem.exclusive else 2))
        self._pages = Pages([0.0], math.prod(shape), np.dtype(np.float32), folder)

    def hear(self, voxels: Tensor, probabilities: Tensor, share: float) -> None:
        """Take what one network of this share says: probabilities (C, n) of voxels (n,), flat indices of the grid.

        What it says of no voxel is certain to it: background, without entropy.
        """
        for places, entropy in self._pieces(voxels, probabilities):
            self._pages.values[0, places] += share * entropy

    def visit(self, voxels: Tensor, probabilities: Tensor) -> None:
        """Take the mean of all networks, (C, n), after they were heard."""
        for places, entropy in self._pieces(voxels, probabilities):
            apart = (entropy - self._pages.values[0, places]) / self._most
            self._pages.values[0, places] = apart.clip(0, 1)

    def write(self, like: ImageRef, out: Path) -> None:
        """Write them to `out` on the grid of the image `like`. Raises OSError where that cannot be written."""
        channels = Channels(("disagreement",), np.dtype(np.uint8), step=1 / STEPS)
        write_channels(self._slabs(), channels, like=like, out=out)

    def _pieces(
        self, voxels: Tensor, probabilities: Tensor
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Some voxels at a time with the entropy of their probabilities: scattered ones touch a page of memory each."""
        for places, values in zip(voxels.cpu().split(PIECE_VOXELS), probabilities.split(PIECE_VOXELS, 1), strict=True):
            yield places.numpy(), self._entropy(values.cpu().clamp(0, 1)).numpy()
            self._pages.let_go()

    def _entropy(self, values: Tensor) -> Tensor:
        """Of probabilities (C, n), in nats (n,)."""
        each = torch.special.entr(values)
        return each.sum(0) if self._exclusive else (each + torch.special.entr(1 - values)).mean(0)

    def _slabs(self) -> Iterator[npt.NDArray[Any]]:
        """Slabs (I, J, k) along K, as NIfTI has its voxels."""
        width, height, depth = self._shape
        volume = self._pages.values[0].reshape(self._shape)
        thick = max(1, HELD_BYTES // (16 * width * height))
        for first in range(0, depth, thick):
            yield np.rint(volume[:, :, first : first + thick] * np.float32(STEPS)).astype(np.uint8)
            self._pages.let_go()
