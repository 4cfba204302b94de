"""The clDice loss: overlap of centre lines, so that vessels stay connected."""

from typing import ClassVar

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from hilum.losses.base import LossConfig
from hilum.losses.compared import compared
from hilum.problem import Problem

_MAX_POOL = {2: functional.max_pool2d, 3: functional.max_pool3d}


class CentrelineDice(nn.Module):
    """1 - 2 P S / (P + S), averaged over classes and samples (Shit et al. 2021, doi:10.1109/CVPR46437.2021.01629).

    P is the share of the predicted centre line that lies in the true structure, S the share of the true centre line
    that lies in the predicted one; centre lines are soft skeletons of `steps` erosions (algorithm 1), enough for
    structures of a radius up to it. What is ignored counts as outside on both sides.
    """

    def __init__(
        self,
        *,
        exclusive: bool,
        background: bool = False,
        steps: int = 3,
        batch: bool = False,
        smooth: float = 1.0,
    ) -> None:
        """Take softmax probabilities where classes are exclusive, and count class 0 of these only with `background`."""
        super().__init__()
        self.exclusive = exclusive
        self.background = background
        self.steps = steps
        self.batch = batch
        self.smooth = smooth

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Scalar from logits (B, C, *spatial) and targets, class indices (B, *spatial) or regions (B, C, *spatial)."""
        pair = compared(logits, targets, exclusive=self.exclusive, background=self.background)
        lines, true_lines = soft_skeleton(pair.predicted, self.steps), soft_skeleton(pair.truth, self.steps)
        inside, length, found, true_length = pair.sums(
            lines * pair.truth, lines, true_lines * pair.predicted, true_lines, batch=self.batch
        )
        precision = (inside + self.smooth) / (length + self.smooth)
        sensitivity = (found + self.smooth) / (true_length + self.smooth)
        return (1 - 2 * precision * sensitivity / (precision + sensitivity)).mean()


def soft_skeleton(maps: Tensor, steps: int) -> Tensor:
    """The centre lines of maps (B, C, *spatial) from 0 to 1: what openings of ever smaller erosions lose."""
    line = functional.relu(maps - _opened(maps))
    for _ in range(steps):
        maps = _eroded(maps)
        lost = functional.relu(maps - _opened(maps))
        line = line + functional.relu(lost - line * lost)
    return line


def _eroded(maps: Tensor) -> Tensor:
    """The smallest of each voxel and its neighbours that share a face."""
    dims = maps.dim() - 2
    along = []
    for axis in range(dims):
        size = tuple(3 if other == axis else 1 for other in range(dims))
        padding = tuple(1 if other == axis else 0 for other in range(dims))
        along.append(-_MAX_POOL[dims](-maps, size, 1, padding))
    return torch.stack(along).amin(0)


def _opened(maps: Tensor) -> Tensor:
    """The largest around each voxel of what is left after an erosion."""
    return _MAX_POOL[maps.dim() - 2](_eroded(maps), 3, 1, 1)


class CentrelineDiceConfig(LossConfig, kind="cldice"):
    """clDice (Shit et al. 2021) for vessels and other thin structures: [dice, {kind: cldice, weight: 0.5}]."""

    tasks: ClassVar[frozenset[str]] = frozenset({"segmentation"})

    steps: PositiveInt = 3
    """Erosions of the soft skeleton: at least the radius of the thickest structure in voxels."""
    background: bool = False
    """Whether the background of exclusive classes counts as a class."""
    batch: bool = False
    """Whether lengths are summed over the batch (of all processes) before the ratios are taken."""
    smooth: PositiveFloat = 1.0
    """Voxels added to numerators and denominators, so that an absent class gives 0 rather than 0 / 0."""

    def build(self, problem: Problem) -> nn.Module:
        """A CentrelineDice for the classes or regions of `problem`."""
        return CentrelineDice(
            exclusive=problem.exclusive,
            background=self.background,
            steps=self.steps,
            batch=self.batch,
            smooth=self.smooth,
        )
