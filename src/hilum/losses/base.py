"""The root of the loss family: what every loss's configuration answers, and the sums that losses share."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from hilum.errors import nearest
from hilum.problem import Problem
from hilum.registry import Component


class LossConfig(Component, family="losses"):
    """A number that training makes small, from logits and targets.

    Targets are int64: class indices (B, *spatial) where classes exclude each other, 0 and 1 in (B, R, *spatial) where
    regions overlap, and IGNORE where a voxel must not count.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"classification", "segmentation"})
    """The kinds of problem that the loss is for."""

    def build(self, problem: Problem) -> nn.Module:
        """A module whose forward(logits (B, C, *spatial), targets) is a scalar, computed in float32 at least."""
        raise NotImplementedError(f"{type(self).__name__} has no build(problem)")

    def faults(self, problem: Problem) -> list[str]:
        """Why the loss cannot be used for `problem`: one sentence each, none if it can."""
        if problem.kind in self.tasks:
            return []
        return [f"loss '{self.kind}' is for {' and '.join(sorted(self.tasks))}, the task is {problem.kind}"]


def by_class(weights: dict[str, float], problem: Problem) -> list[float]:
    """One number a class in the order of the problem's classes; 1 where `weights` does not name the class."""
    return [weights.get(name, 1.0) for name in problem.classes]


def unknown_classes(field: str, weights: dict[str, float], problem: Problem) -> list[str]:
    """A sentence for each name in `weights` that is no class of the problem, with the nearest one that is."""
    faults = []
    for name in weights:
        if name not in problem.classes:
            close = nearest(name, problem.classes)
            hint = f"; did you mean '{close}'?" if close else ""
            faults.append(f"{field}: received class '{name}', expected one of {', '.join(problem.classes)}{hint}")
    return faults


def full_precision(logits: Tensor) -> Tensor:
    """The logits in float32, or in float64 where they are already."""
    return logits if logits.dtype == torch.float64 else logits.float()


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Sum of values * weights over sum of weights; 0, with a gradient of 0, where all weights are 0."""
    total = weights.sum()
    return (values * weights).sum() / torch.where(total > 0, total, torch.ones_like(total))
