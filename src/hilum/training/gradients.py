"""How long the gradient of each layer is: what shows that a deep network does not learn in its first layers."""

from __future__ import annotations

import math
from collections import defaultdict

import torch
from torch import Tensor, nn


def layer_norms(model: nn.Module) -> dict[str, float]:
    """The L2 norm of the gradient of each module that has trained weights of its own, in the order of the model."""
    norms: defaultdict[str, list[Tensor]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            norms[name.rpartition(".")[0] or name].append(parameter.grad.detach().norm())
    if not norms:
        return {}
    values = torch.stack([torch.stack(parts).float().norm() for parts in norms.values()]).tolist()
    return dict(zip(norms, values, strict=True))


def added(totals: dict[str, float], norms: dict[str, float], *, weight: float) -> dict[str, float]:
    """The totals with the norms of a step, times its weight; one that a scaler leaves out (infinite) adds nothing."""
    sums = dict(totals)
    for name, norm in norms.items():
        sums[name] = sums.get(name, 0.0) + (weight * norm if math.isfinite(norm) else 0.0)
    return sums
