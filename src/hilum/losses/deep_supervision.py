"""The loss of a network that gives logits at several resolutions in training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class DeepSupervision(nn.Module):
    """The weighted mean of a loss over logits at several resolutions; the loss itself where there is one resolution.

    Lee et al. 2015 (Deeply-supervised nets, arXiv:1409.5185), with the weights of nnU-Net (Isensee et al. 2021,
    doi:10.1038/s41592-020-01008-z): see `halving_weights`.
    """

    def __init__(self, loss: nn.Module) -> None:
        """Take the loss of one resolution."""
        super().__init__()
        self.loss = loss

    def forward(self, logits: Tensor | Sequence[Tensor], targets: Tensor) -> Tensor:
        """Scalar from logits (B, C, *spatial), or several of them, finest first, and targets of full resolution."""
        if isinstance(logits, Tensor):
            return self.loss(logits, targets)
        total = logits[0].new_zeros(())
        for weight, each in zip(halving_weights(len(logits)), logits, strict=True):
            total = total + weight * self.loss(each, reduced(targets, each.shape[2:]))
        return total


def halving_weights(count: int) -> list[float]:
    """`count` weights of sum 1, finest resolution first, each half the one before it."""
    weights = [0.5**level for level in range(count)]
    return [weight / sum(weights) for weight in weights]


def reduced(targets: Tensor, shape: Sequence[int]) -> Tensor:
    """Targets (B, ..., *spatial) at the centres of the voxels of a coarser grid of `shape`, which divides theirs.

    The nearest voxel, the upper one of two that are as near, as torch's mode nearest-exact has it: classes are never
    mixed, and what is ignored stays so.
    """
    for axis, size in enumerate(shape, start=targets.dim() - len(shape)):
        factor = targets.shape[axis] // size
        picked = torch.arange(factor // 2, targets.shape[axis], factor, device=targets.device)
        targets = targets.index_select(axis, picked)
    return targets
