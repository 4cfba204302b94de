"""From probabilities on a prepared grid to label values on the image's own grid, block by block."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from hilum.errors import DataError
from hilum.inference.blending import Block
from hilum.inference.placing import Placing, Points
from hilum.inference.review.sureness import Sureness
from hilum.problem import Problem
from hilum.volume import Grid

INTERPOLATED_NUMBERS = 2**22
"""Probabilities that are interpolated together: 16 MiB of float32, whatever the number of classes."""
INTERPOLATED_VOXELS = 2**17
"""Voxels that are interpolated together: each has eight neighbours with a place and a share."""
SURE = 1e-4
"""A probability this close to one half may be rounded to the other side of it."""

Visit = Callable[[Tensor, Tensor], None]
"""Is given voxels (n,) of the image's grid, as flat indices, and their probabilities (num_outputs, n), float32. Each
voxel of the prepared field of view comes once, in no particular order; outside it the background is certain."""


class SourceLabels:
    """Label values (I, J, K) on the grid of an image, on the CPU, filled in as blocks of the prepared grid are final.

    Probabilities are interpolated linearly before the decision, but only between neighbours that differ, unless `visit`
    wants those of all voxels. A class that is the most likely one of all eight neighbours is so everywhere between
    them, since weighted sums keep an order, also rounded; and so do regions that stay on one side of one half.
    Outside the field of view nothing was seen: background.
    """

    def __init__(
        self,
        prepared: Grid,
        source: Grid,
        problem: Problem,
        *,
        visit: Visit | None = None,
        sureness: Sureness | None = None,
    ) -> None:
        if prepared.unit != source.unit:
            raise DataError(f"probabilities lie on a grid in {prepared.unit}, the image on one in {source.unit}")
        self._placing = Placing(prepared, source)
        self._problem, self._visit, self._sureness = problem, visit, sureness
        outside = torch.zeros(problem.num_outputs, 1)
        outside[0] = float(problem.exclusive)
        self.labels = problem.decode(outside).expand(source.shape).clone(memory_format=torch.contiguous_format)

    @property
    def margins(self) -> tuple[bool, bool, bool]:
        """The axes along which blocks have to overlap by one voxel: those with something to interpolate."""
        i, j, k = (not exact for exact in self._placing.exact)
        return i, j, k

    def take(self, block: Block) -> None:
        """Decide the voxels of the image that lie within a block."""
        probabilities = block.values.movedim(3, 0)
        values = self._problem.decode(probabilities)
        if self._sureness is not None:
            self._sureness.add(values, block)
        unsure: Tensor | None = None
        if self._visit is None and any(self.margins):
            unsure = ~self._agreed(values, probabilities)
            unsure = unsure if unsure.any() else None
        for targets in self._placing.targets(block.first, block.stop, block.repeated):
            found = targets.looked_up(values)
            targets.write(found, self.labels)
            if self._visit is not None:
                self._interpolate(block, targets.points(torch.ones_like(found, dtype=torch.bool)))
            elif unsure is not None:
                self._interpolate(block, targets.points(targets.looked_up(unsure)))

    def _agreed(self, values: Tensor, probabilities: Tensor) -> Tensor:
        """Whether all neighbours of what lies between two voxels along every axis with a margin are decided alike."""
        low = high = values
        sure = None if self._problem.exclusive else self._sure(values, probabilities)
        for axis, margin in enumerate(self.margins):
            if not margin:
                continue
            between = values.shape[axis] - 1
            low = torch.minimum(low.narrow(axis, 0, between), low.narrow(axis, 1, between))
            high = torch.maximum(high.narrow(axis, 0, between), high.narrow(axis, 1, between))
            if sure is not None:
                sure = sure.narrow(axis, 0, between) & sure.narrow(axis, 1, between)
        return low == high if sure is None else (low == high) & sure

    def _sure(self, values: Tensor, probabilities: Tensor) -> Tensor:
        """Voxels (i, j, k) whose label stands for just the regions that are more likely than not, none of them barely.

        With neighbours of the same kind the same regions are likely all the way between them, and so is the label.
        """
        written = np.unique([0, *(int(value) for group in self._problem.values for value in group)])
        members = torch.from_numpy(self._problem.membership(written)).to(values.device)
        index = torch.bucketize(values.long(), torch.from_numpy(written).to(values.device))
        sure = torch.ones_like(values, dtype=torch.bool)
        for member, likely in zip(members, probabilities, strict=True):
            sure &= (member[index] == (likely > 0.5)) & ((likely - 0.5).abs() > SURE)
        return sure

    def _interpolate(self, block: Block, points: Points) -> None:
        """Decide voxels by the probabilities between their neighbours, and show these to `visit`."""
        flat = self.labels.view(-1)
        most = max(1, min(INTERPOLATED_NUMBERS // block.values.shape[3], INTERPOLATED_VOXELS))
        for part in points.parts(most):
            probabilities = interpolated(block.values, part, margins=self.margins).movedim(1, 0)
            flat[part.voxels.cpu()] = self._problem.decode(probabilities).cpu()
            if self._visit is not None:
                self._visit(part.voxels, probabilities)


def interpolated(values: Tensor, points: Points, *, margins: tuple[bool, bool, bool]) -> Tensor:
    """Values (n, num_outputs) at points between the voxels of a block (i, j, k, num_outputs), linearly.

    Along axes without a margin they are those of the lower neighbour. A point's value does not depend on the others.
    """
    _, height, width, num_outputs = values.shape
    strides = (height * width, width, 1)
    device = values.device
    first = (points.lower * torch.tensor(strides, device=device)).sum(1, keepdim=True)
    steps, shares = torch.zeros(1, dtype=torch.int64, device=device), torch.ones(1, 1, device=device)
    for axis, stride in enumerate(strides):
        if margins[axis]:
            above = points.above[:, axis]
            steps = (steps[:, None] + torch.tensor([0, stride], device=device)).flatten()
            shares = (shares[:, :, None] * torch.stack([1 - above, above], 1)[:, None]).flatten(1)
    # A weighted sum of rows, each of which is one piece of memory with all classes.
    return torch.nn.functional.embedding_bag(
        first + steps,
        values.view(-1, num_outputs),
        mode="sum",
        per_sample_weights=shares.expand(len(first), len(steps)).contiguous(),
    )
