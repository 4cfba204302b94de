"""Parts of a network that are not trained: chosen by name or up to a stage, and still in their statistics too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from hilum.errors import nearest
from hilum.layers.stages import stage_fault, stages

NOTHING_LEFT = "nothing is left to train: leave some part of the network out"


def frozen_patterns(model: nn.Module, patterns: Sequence[str], up_to: str | None) -> tuple[str, ...]:
    """The patterns, and the names of all that belongs to the stages up to `up_to`, that one included."""
    if up_to is None:
        return tuple(patterns)
    found = stages(model)
    number = [stage.name for stage in found].index(up_to)
    return (*patterns, *(part for stage in found[: number + 1] for part in stage.parts))


def freeze(model: nn.Module, patterns: Sequence[str]) -> None:
    """Take what the patterns name out of training; a module's name stands for everything within it."""
    for name, parameter in model.named_parameters():
        if _frozen(name, patterns):
            parameter.requires_grad_(False)


def still_norms(model: nn.Module, patterns: Sequence[str]) -> tuple[nn.Module, ...]:
    """The batch norms of a frozen model that lie within what the patterns name, or train no weights: kept in eval."""

    def still(name: str, module: nn.Module) -> bool:
        trained = [parameter.requires_grad for parameter in module.parameters()]
        return _frozen(name, patterns) or (bool(trained) and not any(trained))

    norms = [(name, module) for name, module in model.named_modules() if isinstance(module, _NormBase)]
    return tuple(module for name, module in norms if still(name, module))


def freeze_faults(model: nn.Module, patterns: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The number of each pattern that names nothing, or of the last one where nothing is left to train, and why."""
    parameters = [name for name, _ in model.named_parameters()]
    names = [name for name, _ in model.named_modules() if name] + parameters
    for number, pattern in enumerate(patterns):
        if not any(fnmatchcase(name, pattern) for name in names):
            close = nearest(pattern.rstrip("*."), names)
            hint = f"; did you mean '{close}'?" if close else ""
            top = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
            yield number, f"received '{pattern}', which names no part of the network (it has {top}){hint}"
    if patterns and all(_frozen(name, patterns) for name in parameters):
        yield len(patterns) - 1, NOTHING_LEFT


def freeze_to_faults(model: nn.Module, patterns: Sequence[str], up_to: str) -> Iterator[str]:
    """Why nothing can be frozen up to a stage: there is none of that name, or nothing would be left to train."""
    fault = stage_fault(up_to, stages(model))
    if fault is not None:
        yield fault
        return
    frozen = frozen_patterns(model, patterns, up_to)
    if all(_frozen(name, frozen) for name, _ in model.named_parameters()):
        yield NOTHING_LEFT


def _frozen(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name, or that of a module around it, fits a pattern."""
    parts = name.split(".")
    around = [".".join(parts[: depth + 1]) for depth in range(len(parts))]
    return any(fnmatchcase(each, pattern) for each in around for pattern in patterns)
