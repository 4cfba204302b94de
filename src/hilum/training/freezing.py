"""Parts of a network that are not trained: chosen by name, and still in their statistics too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from hilum.errors import nearest


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
        yield len(patterns) - 1, "nothing is left to train: leave some part of the network out"


def _frozen(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name, or that of a module around it, fits a pattern."""
    parts = name.split(".")
    around = [".".join(parts[: depth + 1]) for depth in range(len(parts))]
    return any(fnmatchcase(each, pattern) for each in around for pattern in patterns)
