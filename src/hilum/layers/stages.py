"""The stages of a network by name: what is frozen together, or learns at a rate of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from hilum.errors import nearest

FEWEST = 4
"""With fewer stages than this, sequences are taken apart into what they consist of."""


@dataclass(frozen=True)
class Stage:
    """A part of a network: its first module gives the name; normalisations that follow belong to it."""

    name: str
    parts: tuple[str, ...]
    """Names of modules and parameters."""

    def holds(self, name: str) -> bool:
        """Whether a module or a parameter lies within the stage."""
        return any(name == part or name.startswith(f"{part}.") for part in self.parts)


def stages(model: nn.Module) -> tuple[Stage, ...]:
    """The stages of a network, in the order in which it lists its parts, which is that of an image's way through most.

    They are its direct parts (of a ResNet: conv1, layer1 to layer4, fc). Lists of modules are taken apart, and so are
    sequences where there would be fewer than four stages (of a VGG: each layer). Every parameter is in just one stage.
    """
    state = _state(model)
    parts = list(_parts(model, "", state))
    while (opened := list(_opened(model, parts, state))) != parts:
        parts = opened
    grouped: list[list[str]] = []
    for part in parts:
        flat = all(tensor.ndim <= 1 for name, tensor in state.items() if _within(name, part))
        if grouped and flat:
            grouped[-1].append(part)
        else:
            grouped.append([part])
    return tuple(Stage(names[0], tuple(names)) for names in grouped)


def stage_fault(name: str, found: Sequence[Stage]) -> str | None:
    """Why `name` is no stage, with the nearest one and all that there are; None where it is one."""
    names = [stage.name for stage in found]
    if name in names:
        return None
    close = nearest(name, names)
    hint = f"; did you mean '{close}'?" if close else ""
    return f"received '{name}', which is no stage of the network, expected one of {', '.join(names)}{hint}"


def _state(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, each under the first of its names."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _parts(module: nn.Module, prefix: str, state: dict[str, Tensor]) -> Iterator[str]:
    """The direct parts of a module that hold anything: parameters of its own first, as torch lists them."""
    own = [name for name, _ in module.named_parameters(recurse=False)]
    own += [name for name, _ in module.named_buffers(recurse=False)]
    for name in (*own, *(name for name, _ in module.named_children())):
        path = f"{prefix}{name}"
        if any(_within(held, path) for held in state):
            yield path


def _opened(model: nn.Module, parts: Sequence[str], state: dict[str, Tensor]) -> Iterator[str]:
    """The parts, with those that have to be taken apart replaced by theirs."""
    alone, few = len(parts) == 1, len(parts) < FEWEST
    for part in parts:
        if part in state:
            yield part
            continue
        module = model.get_submodule(part)
        listed = isinstance(module, nn.ModuleList | nn.ModuleDict)
        inner = list(_parts(module, f"{part}.", state))
        taken_apart = listed or (few and isinstance(module, nn.Sequential)) or (alone and len(inner) > 0)
        leaf = not any(module.children())
        yield from inner if taken_apart and not leaf else [part]
