"""Which of given weights fit a network, by name and shape, and how they come into it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from hilum.errors import CheckpointError

DOTTED = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.")
"""How the names of DenseNet's layers were written before; torchvision's files have them still."""
COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Roles:
    """Entries of a network's state whose shape depends on its task: on the channels, and on the classes."""

    inputs: frozenset[str] = frozenset()
    heads: frozenset[str] = frozenset()
    new_heads: str = ""
    """Why the layers that give the answer start anew; empty: they are taken where they fit."""
    num_channels: int = 0


@dataclass(frozen=True)
class Match:
    """What of given weights fits a network."""

    taken: dict[str, Tensor] = field(repr=False)
    summed: dict[str, str]
    """First layers that were fitted to another number of channels, and how."""
    anew: dict[str, str]
    """Entries of the network that start from random weights, and why."""
    unused: tuple[str, ...]
    """Names of given tensors that the network does not have."""


def match(given: Mapping[str, Tensor], state: Mapping[str, Tensor], roles: Roles) -> Match:
    """What of the tensors `given` fits the entries of a network's `state`, by name and shape.

    A prefix that all names share, such as "module.", does not count. Where only the number of input channels differs,
    the first layer's filters are summed over the old channels and shared equally among the new ones, so that an image
    repeated over all channels gives what it gave before. Raises CheckpointError for weights that are not finite.
    """
    named = _aligned(given, state)
    taken: dict[str, Tensor] = {}
    summed: dict[str, str] = {}
    anew: dict[str, str] = {}
    for name, own in state.items():
        tensor = named.get(name)
        if tensor is None:
            if not name.endswith(COUNTER):
                anew[name] = "not in the file"
        elif name in roles.heads and roles.new_heads:
            anew[name] = roles.new_heads
        elif tensor.shape == own.shape:
            taken[name] = tensor
        elif name in roles.inputs and _differ_in_channels(tensor, own, roles.num_channels):
            taken[name] = shared_among_channels(tensor, own.shape[1])
            summed[name] = f"{tensor.shape[1]} input channels shared among {own.shape[1]}"
        else:
            anew[name] = f"is {tuple(own.shape)}, in the file {tuple(tensor.shape)}"
    for name, tensor in taken.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise CheckpointError(f"the weights {name} are not finite: nothing can be learnt from there")
    return Match(taken, summed, anew, tuple(name for name in named if name not in state))


def shared_among_channels(filters: Tensor, num_channels: int) -> Tensor:
    """Filters (O, num_channels, ...) whose sum over the channels is that of `filters` (O, C, ...), equal parts each."""
    total = filters.sum(1, keepdim=True) / num_channels
    return total.repeat(1, num_channels, *[1] * (filters.ndim - 2))


def load(model: nn.Module, found: Match) -> None:
    """Put what fits into the network, in its own precision."""
    model.load_state_dict(found.taken, strict=False)


def loaded_weights(model: nn.Module, found: Match) -> tuple[int, int]:
    """How many of the network's trained numbers come from what fits, and how many it has; statistics aside."""
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    return sum(size for name, size in sizes.items() if name in found.taken), sum(sizes.values())


def any_kernel(model: nn.Module, found: Match, *, heads: frozenset[str]) -> bool:
    """Whether a matrix or kernel of the network fits, beside those that give the answer where there are others.

    Biases and norms are as long as a layer is wide, and fit by chance where nothing else does.
    """
    kernels = {name for name, parameter in model.named_parameters() if parameter.ndim > 1}
    return not found.taken.keys().isdisjoint(kernels - heads or kernels)


def _differ_in_channels(given: Tensor, own: Tensor, num_channels: int) -> bool:
    """Whether two first layers differ in the number of channels only; one with planes of presence has more inputs."""
    if given.ndim != own.ndim or given.ndim < 2 or own.shape[1] != num_channels:
        return False
    return given.shape[0] == own.shape[0] and given.shape[2:] == own.shape[2:]


def _aligned(given: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The given tensors under the network's names, as far as these differ in a shared prefix or in spelling only."""
    named = dict(given)
    while len(tops := {name.partition(".")[0] for name in named}) == 1 and not _begins(state, *tops):
        if not all("." in name for name in named):
            break
        named = {name.partition(".")[2]: tensor for name, tensor in named.items()}
    outer = {name.partition(".")[0] for name in state}
    if len(outer) == 1 and not _begins(named, *outer):
        named = {f"{next(iter(outer))}.{name}": tensor for name, tensor in named.items()}
    return {name if name in state else DOTTED.sub(r"\1\2.", name): tensor for name, tensor in named.items()}


def _begins(names: Mapping[str, Tensor], top: str) -> bool:
    """Whether any name lies below a top-level module."""
    return any(name.startswith(f"{top}.") for name in names)


def changed_by(other: nn.Module, state: Mapping[str, Tensor]) -> frozenset[str]:
    """The entries of a network's state whose shape is another one in its twin `other`."""
    theirs = other.state_dict()
    return frozenset(name for name, tensor in state.items() if name in theirs and theirs[name].shape != tensor.shape)
