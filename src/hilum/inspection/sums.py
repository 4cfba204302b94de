"""What torch's operators on several tensors do to the axes of an image in them, and the multiply-adds of all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from hilum.inspection.axes import Axes, alone, contracted, joined, moved
from hilum.inspection.operators import RULES

Known = Callable[[Any], Axes | None]
"""Gives the axes of the image in a tensor; None in one that was not computed from the image."""

BIASED = ("addmm", "baddbmm")
PRODUCTS = ("mm", "bmm", *BIASED)
BY_VALUE = ("_prelu_kernel", "rsub")
"""What works value by value besides what torch marks so."""
ATTENTION = "_scaled_dot_product"
"""What the names of the several ways to attend begin with."""


def axes_behind(name: str, arguments: Sequence[Any], result: Tensor, known: Known, *, pointwise: bool) -> Axes | None:
    """The axes in the result of an operator with all its arguments; None where its places cannot be followed."""
    if pointwise or name in BY_VALUE:
        found = [(axes, part.shape) for part in arguments if (axes := known(part)) is not None]
        return joined(found, result.shape) if found else None
    if name in PRODUCTS:
        return _product(arguments[1:] if name in BIASED else arguments, result, known)
    if name in ("cat", "stack"):
        return _side_by_side(name, arguments, result, known)
    axes = known(arguments[2 if name.startswith(ATTENTION) else 0])
    if axes is None or name.startswith(ATTENTION):
        return axes if axes is None else tuple(axis.whole() for axis in axes)
    return RULES[name](arguments, result, axes) if name in RULES else None


def multiply_adds(name: str, arguments: Sequence[Any], result: Tensor) -> int:
    """Products that are added up by a convolution or a product of matrices; 0 for all else."""
    if name == "convolution":
        images, weight, transposed = arguments[0], arguments[1], arguments[6]
        return math.prod((images if transposed else result).shape) * math.prod(weight.shape[1:])
    if name in PRODUCTS:
        return result.numel() * int(arguments[1 if name in BIASED else 0].shape[-1])
    if name.startswith(ATTENTION):
        query, key, value = arguments[:3]
        return math.prod(query.shape[:-1]) * int(key.shape[-2]) * int(query.shape[-1] + value.shape[-1])
    return 0


def _product(factors: Sequence[Any], result: Tensor, known: Known) -> Axes | None:
    """Sums over the last dimension of the first factor and the last but one of the second."""
    found: list[Axes] = []
    for factor, dim in zip(factors[:2], (-1, -2), strict=True):
        axes = known(factor)
        if axes is not None:
            found.append(contracted(axes, {factor.ndim + dim}))
    if not found:
        return None
    both = joined([(axes, result.shape) for axes in found], result.shape)
    # Else pairs of places, each of which sees what its two places see: no more than all see together.
    return both if both is not None else tuple(axis.whole() for axis in found[0])


def _side_by_side(name: str, arguments: Sequence[Any], result: Tensor, known: Known) -> Axes | None:
    parts = [axes for part in arguments[0] if (axes := known(part)) is not None]
    dim = arguments[1] % result.ndim
    if name == "stack":
        parts = [moved(axes, lambda place: place + (place >= dim)) for axes in parts]
    for axes in parts:
        if any(axis.dim == dim and alone(axes, axis) for axis in axes):
            return None  # images side by side; tokens of all axes together may have others beside them
    return joined([(axes, result.shape) for axes in parts], result.shape) if parts else None
