"""How sure a network is of each structure that it finds, gathered while its probabilities pass by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hilum.inference.blending import Block
    from hilum.problem import Problem


class Sureness:
    """The mean, over the voxels of the prepared grid that a structure is given, of the probability that it gets there.

    The highest probability of a softmax tells wrong answers and strange inputs from others (Hendrycks & Gimpel 2017,
    arXiv:1610.02136); a mean over the structure as it was found tells of its quality (Mehrtash et al. 2020,
    doi:10.1109/TMI.2020.3006437, who take the entropy). Regions are given the voxels where they are more likely than
    not. It costs a look-up a voxel: the decision is made anyway.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._sums = np.zeros(problem.num_outputs)
        self._counts = np.zeros(problem.num_outputs, dtype=np.int64)
        written = np.array([int(values[0]) for values in problem.values])
        self._order = torch.from_numpy(np.argsort(written))
        self._written = torch.from_numpy(np.sort(written))

    def add(self, values: Tensor, block: Block) -> None:
        """Take in a block of final probabilities and the label values (i, j, k) that are decided by them."""
        i, j, k = (slice(again, None) for again in block.repeated)  # an earlier block had the voxels before
        probabilities = block.values[i, j, k].flatten(0, 2).cpu()
        if not self._problem.exclusive:
            inside = probabilities > 0.5
            self._sums += (probabilities * inside).sum(0, dtype=torch.float64).numpy()
            self._counts += inside.sum(0).numpy()
            return
        index = self._order[torch.bucketize(values[i, j, k].flatten().cpu().long(), self._written)]
        chosen = probabilities.gather(1, index[:, None])[:, 0].double()
        size = self._problem.num_outputs
        self._sums += torch.bincount(index, weights=chosen, minlength=size).numpy()
        self._counts += torch.bincount(index, minlength=size).numpy()

    @property
    def of_structures(self) -> dict[str, float]:
        """By name, how sure the network is of each structure that it found: from 0 to 1."""
        first = self._problem.num_outputs - len(self._problem.foreground)
        found = zip(self._problem.foreground, self._sums[first:], self._counts[first:], strict=True)
        return {name: float(total / count) for name, total, count in found if count}


def mean_sureness(members: Sequence[Sureness], shares: Sequence[float]) -> dict[str, float]:
    """How sure the networks of an ensemble are of each structure: the mean, by their shares, of those that find it."""
    told = [member.of_structures for member in members]
    weighed: dict[str, float] = {}
    for name in dict.fromkeys(name for one in told for name in one):
        saying = [(share, one[name]) for share, one in zip(shares, told, strict=True) if name in one]
        weighed[name] = sum(share * sure for share, sure in saying) / sum(share for share, _ in saying)
    return weighed
