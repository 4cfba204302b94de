"""The median filter: every voxel becomes the middle value of its neighbours."""

import itertools
import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from hilum.filters.base import FilterConfig

PART_VALUES = 2**24
"""Values that are sorted at a time: neighbours times voxels."""


class MedianConfig(FilterConfig, kind="median"):
    """The middle value of a box of neighbours: removes specks and keeps edges."""

    size: Annotated[int, Field(ge=2)] = 3
    """Voxels of the box along each axis; of an even number of neighbours the upper of the two in the middle counts."""

    def widths(self, dims: int) -> tuple[tuple[int, int], ...]:
        """Half the box on either side; of an even box one voxel more before."""
        return ((self.size // 2, self.size - 1 - self.size // 2),) * dims

    def slide(self, images: Tensor) -> Tensor:
        """The medians, a few rows of the first axis at a time."""
        sizes = [length - self.size + 1 for length in images.shape[2:]]
        row = self.size ** len(sizes) * math.prod(images.shape[:2]) * math.prod(sizes[1:])
        rows = max(1, PART_VALUES // row)
        parts = [
            self._medians(images.narrow(2, start, min(rows, sizes[0] - start) + self.size - 1))
            for start in range(0, sizes[0], rows)
        ]
        return torch.cat(parts, dim=2)

    def _medians(self, images: Tensor) -> Tensor:
        sizes = [length - self.size + 1 for length in images.shape[2:]]
        neighbours = []
        for place in itertools.product(range(self.size), repeat=len(sizes)):
            part = images
            for axis, (start, size) in enumerate(zip(place, sizes, strict=True), start=2):
                part = part.narrow(axis, start, size)
            neighbours.append(part)
        return torch.stack(neighbours, dim=-1).kthvalue(len(neighbours) // 2 + 1).values
