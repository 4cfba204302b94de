"""The root of the loss family: what every loss's configuration answers, and the sums that losses share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from hilum.errors import DataError, nearest
from hilum.problem import Problem
from hilum.registry import Component

Balanced = Literal["balanced"]
"""Weights that are to be found in the training part, by `LossConfig.fitted_to`."""
ClassWeights = dict[str, NonNegativeFloat] | Balanced
PositiveWeights = dict[str, PositiveFloat] | Balanced


class LossConfig(Component, family="losses"):
    """A number that training makes small, from logits and targets.

    Targets are int64: class indices (B, *spatial) where classes exclude each other, 0 and 1 in (B, R, *spatial) where
    regions overlap or findings come together, and IGNORE where one must not count. Numbers are float32, NaN where one
    must not count.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"classification", "multilabel", "segmentation"})
    """The kinds of problem that the loss is for."""

    balanced_field: ClassVar[str] = ""
    """The field that may say `balanced`, for weights to be found in the training part."""

    weight: NonNegativeFloat = 1.0
    """Factor of this loss among several, as in [{kind: dice, weight: 1}, {kind: cross_entropy, weight: 0.5}]."""

    @property
    def needs_fit(self) -> bool:
        """Whether weights have yet to be found in the training part; such a loss cannot be built."""
        return bool(self.balanced_field) and getattr(self, self.balanced_field) == "balanced"

    def fitted_to(self, inside: npt.NDArray[np.int64], seen: npt.NDArray[np.int64], problem: Problem) -> Self:
        """The loss with its balanced weights written out by class, from what the training part shows.

        `inside` counts the targets of each class or region, `seen` all targets that are not ignored. Raises DataError
        for a class that the training part does not show, and for a region with nothing outside.
        """
        weights = balanced(inside, seen, problem)
        return self.model_copy(update={self.balanced_field: weights})

    def build(self, problem: Problem) -> nn.Module:
        """A module whose forward(logits (B, C, *spatial), targets) is a scalar, computed in float32 at least."""
        raise NotImplementedError(f"{type(self).__name__} has no build(problem)")

    def faults(self, problem: Problem) -> list[str]:
        """Why the loss cannot be used for `problem`: one sentence each, none if it can."""
        if problem.kind in self.tasks:
            return []
        return [f"loss '{self.kind}' is for {' and '.join(sorted(self.tasks))}, the task is {problem.kind}"]


def balanced(inside: npt.NDArray[np.int64], seen: npt.NDArray[np.int64], problem: Problem) -> dict[str, float]:
    """Weights by which every class has the same share in the loss, from counts by class.

    n / (k n_c) for the class c of k that exclude each other, with n_c of all n targets (King and Zeng 2001, as
    scikit-learn's "balanced"); for a region, targets outside over targets inside. Nothing is clipped.
    """
    absent = [name for name, count in zip(problem.classes, inside, strict=True) if not count]
    if absent:
        raise DataError(
            f"balanced weights: the training part shows no {', '.join(absent)}: "
            "give the weights as numbers, or split the patients otherwise"
        )
    full = [name for name, count, every in zip(problem.classes, inside, seen, strict=True) if count == every]
    if full and not problem.exclusive:
        raise DataError(
            f"balanced weights: the training part shows nothing without {', '.join(full)}: "
            "give the weights as numbers, or split the patients otherwise"
        )
    weights = seen / (len(inside) * inside) if problem.exclusive else (seen - inside) / inside
    return {name: float(f"{weight:.6g}") for name, weight in zip(problem.classes, weights, strict=True)}


def by_class(weights: dict[str, float] | Balanced, problem: Problem) -> list[float]:
    """One number a class in the order of the problem's classes; 1 where `weights` does not name the class."""
    if isinstance(weights, str):
        raise DataError("balanced weights have yet to be found in a training part")
    return [weights.get(name, 1.0) for name in problem.classes]


def weight_faults(field: str, weights: dict[str, float] | Balanced, problem: Problem) -> list[str]:
    """Why weights cannot be used: names that are no class of the problem, with the nearest that is; none above 0."""
    faults = []
    for name in () if isinstance(weights, str) else weights:
        if name not in problem.classes:
            close = nearest(name, problem.classes)
            hint = f"; did you mean '{close}'?" if close else ""
            faults.append(f"{field}: received class '{name}', expected one of {', '.join(problem.classes)}{hint}")
    if problem.exclusive and not isinstance(weights, str) and not any(by_class(weights, problem)):
        faults.append(f"{field}: is 0 for every class, so that none counts; at least one has to be above")
    return faults


def full_precision(logits: Tensor) -> Tensor:
    """The logits in float32, or in float64 where they are already."""
    return logits if logits.dtype == torch.float64 else logits.float()


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Sum of values * weights over sum of weights; 0, with a gradient of 0, where all weights are 0."""
    return (values * weights).sum() / counted(weights.sum())


@dataclass(frozen=True)
class Ranks:
    """How sums are made over the processes that share a batch."""

    sum: Callable[[Tensor], Tensor] = lambda value: value
    count: int = 1


ALONE = Ranks()
_RANKS: ContextVar[Ranks] = ContextVar("ranks", default=ALONE)


@contextmanager
def counted_over(sum_over_ranks: Callable[[Tensor], Tensor], count: int) -> Iterator[None]:
    """Within a `with` statement, losses are those of the batch that `count` processes share.

    The mean of the processes' losses is then the loss of the whole batch, and so is the mean of their gradients; all
    of them have to compute the same losses in the same order. `sum_over_ranks` has to be differentiable.
    """
    token = _RANKS.set(Ranks(sum_over_ranks, count) if count > 1 else ALONE)
    try:
        yield
    finally:
        _RANKS.reset(token)


def counted(total: Tensor) -> Tensor:
    """What the sum of a mean is divided by: the number (or weight) of its terms, the mean of it over all ranks.

    1 where there are no terms.
    """
    ranks = _RANKS.get()
    total = ranks.sum(total) / ranks.count
    return torch.where(total > 0, total, torch.ones_like(total))


def summed(value: Tensor) -> Tensor:
    """The sum of a batch's sums over all ranks, for losses that are no mean."""
    return _RANKS.get().sum(value)
