"""Looks at what the layers of a network give while an image passes, without changing the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from hilum.layers.stages import stages


@contextmanager
def outputs_of(
    model: nn.Module, names: Iterable[str], *, keep: Callable[[Tensor], Tensor] = lambda output: output.detach().clone()
) -> Iterator[dict[str, Tensor]]:
    """While open, what each named module last gave, in the order of the forward pass; tuples are left out.

    `keep` makes what is kept of an output: by default a copy, since layers that follow may work in place.
    """
    seen: dict[str, Tensor] = {}

    def noting(name: str) -> Callable[[nn.Module, object, object], None]:
        def note(module: nn.Module, given: object, output: object) -> None:
            del module, given
            if isinstance(output, Tensor):
                seen.pop(name, None)  # last place in the order
                seen[name] = keep(output)

        return note

    hooks = [model.get_submodule(name).register_forward_hook(noting(name)) for name in names]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def weighted_layers(model: nn.Module) -> list[str]:
    """The names of the modules that have weights of their own, in the order of the network."""
    return [name for name, module in model.named_modules() if name and any(True for _ in module.parameters(False))]


def stage_modules(model: nn.Module) -> list[str]:
    """The names of the modules that the network's stages consist of; single parameters are no modules."""
    modules = {name for name, _ in model.named_modules()}
    return [part for stage in stages(model) for part in stage.parts if part in modules]
