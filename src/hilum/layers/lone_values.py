"""Finds layers that would normalise a single value: it becomes 0 whatever it was, and nothing can be learnt from it."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_NORMS = (_BatchNorm, _InstanceNorm, nn.GroupNorm)


class _LoneValueError(Exception):
    """A layer got one value to normalise."""


def lone_norm(model: nn.Module, shape: Sequence[int], *, still: Collection[nn.Module] = ()) -> str | None:
    """The first layer that normalises one value alone while images of `shape` (B, C, *spatial) train the network.

    None where there is no such layer; those that are `still` normalise by what they have learnt before. The network
    lies on the meta device and stays as it is; what cannot be followed there is not looked at.
    """

    def watch(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def look(norm: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
            if values_normalised(norm, given[0].shape) == 1:
                raise _LoneValueError(name)

        return module.register_forward_pre_hook(look)

    trained = model.training
    norms = [(name, module) for name, module in model.named_modules() if isinstance(module, _NORMS)]
    hooks = [watch(name, module) for name, module in norms if module not in still]
    try:
        with torch.no_grad(), suppress(RuntimeError, TypeError, ValueError):
            model.train()(torch.empty(tuple(shape), device="meta"))
    except _LoneValueError as lone:
        return str(lone)
    finally:
        model.train(trained)
        for hook in hooks:
            hook.remove()
    return None


def values_normalised(norm: nn.Module, shape: Sequence[int]) -> int:
    """How many values of an input (B, C, *spatial) a norm in training takes the mean and the variance of together."""
    batch, channels, *spatial = shape
    if isinstance(norm, _BatchNorm):
        return batch * math.prod(spatial)
    return math.prod(spatial) * (channels // norm.num_groups if isinstance(norm, nn.GroupNorm) else 1)
