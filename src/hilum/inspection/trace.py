"""Follows an image through a network on tensors that have shapes and no content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from hilum.errors import ConfigError
from hilum.inspection.axes import Axes, of_image
from hilum.inspection.reach import extent, window
from hilum.inspection.sliding import Slide, slides
from hilum.inspection.sums import axes_behind, multiply_adds
from hilum.layers.local import LocallyConnected
from hilum.layers.window import Window

Field = tuple[int, ...] | Literal["all"] | None
"""Voxels of the image that a value depends on, along each axis; None where they could not be followed."""


@dataclass(frozen=True)
class Layer:
    """What a layer gives for one image, and what it takes.

    `output` is (channels, *spatial), or what else it gives, without the batch. `dropped` says by axis how many voxels
    at the end of what it is given no window reaches, since the stride does not divide evenly.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int
    field: Field
    dropped: tuple[tuple[int, int], ...] = ()


@dataclass
class _Call:
    """A module at work: what its own operators have cost so far."""

    name: str
    module: nn.Module
    multiply_adds: int = 0
    dropped: dict[int, int] = field(default_factory=dict)


def trace(model: nn.Module, shape: Sequence[int]) -> list[Layer]:
    """The layers of a network that lies on the meta device, in the order in which an image (C, *spatial) passes them.

    Layers that have no weights, cost nothing and keep the shape are left out, and so are those that learn only and do
    not predict. Raises ConfigError naming the layer that nothing would come out of.
    """
    follower = _Follower(model, tuple(shape[1:]))
    dtype = next((weights.dtype for weights in model.parameters()), torch.float32)
    images = torch.empty(1, *shape, device="meta", dtype=dtype)
    follower.axes[images] = of_image(images.shape)
    with follower.hooked(), follower, torch.no_grad():
        try:
            model.eval()(images)
        except _NothingLeftError as error:
            raise ConfigError(f"layer '{follower.current}': {error}") from error
        except (RuntimeError, ValueError) as error:
            raise ConfigError(f"layer '{follower.current}': {str(error).splitlines()[0]}") from error
    return follower.layers


class _Follower(TorchDispatchMode):
    """Keeps, for every tensor that is computed from the image, the axes of the image in it."""

    def __init__(self, model: nn.Module, size: tuple[int, ...]) -> None:
        super().__init__()
        self.size = size
        self.layers: list[Layer] = []
        self.axes: Any = WeakTensorKeyDictionary()
        self.lists: Any = WeakTensorKeyDictionary()
        self.calls = [_Call("", model)]
        self.counted: set[int] = set()
        self.names = {module: name for name, module in model.named_modules()}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operator, and follow the image through it."""
        del types
        name, arguments = func.overloadpacket.__name__.removesuffix("_"), _complete(func, args, kwargs or {})
        self._refuse_empty(name, arguments)
        result = func(*args, **(kwargs or {}))
        results = [part for part in tree_leaves(result) if isinstance(part, Tensor)]
        if results:
            self.calls[-1].multiply_adds += multiply_adds(name, arguments, results[0])
            self._follow(func, name, arguments, results)
        return result

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """Within it, calls of the model's modules are noted."""
        handles = [module.register_forward_pre_hook(self._entered) for module in self.names]
        handles += [module.register_forward_hook(self._left) for module in self.names]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @property
    def current(self) -> str:
        """The name of the layer that is at work."""
        return self.calls[-1].name or type(self.calls[-1].module).__name__

    def _entered(self, module: nn.Module, inputs: Any) -> None:
        del inputs
        self.calls.append(_Call(self.names[module], module))

    def _left(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        call = self.calls.pop()
        results = [part for part in tree_leaves(output) if isinstance(part, Tensor)]
        if not results:
            return
        if isinstance(module, LocallyConnected):
            call.dropped = self._see_locally(module, inputs[0], results[0])
        own = [weight for weight in module.parameters(recurse=False) if id(weight) not in self.counted]
        self.counted |= {id(weight) for weight in own}
        parameters = sum(weight.numel() for weight in own)
        given = [part.shape for part in tree_leaves(inputs) if isinstance(part, Tensor)]
        reshapes = next(module.children(), None) is None and given[:1] != [results[0].shape]
        if not (parameters or call.multiply_adds or reshapes):
            return
        shape = tuple(results[0].shape[1:])
        seen = self._field(self.axes.get(results[0]))
        dropped = tuple(sorted(call.dropped.items()))
        kind = type(module).__name__
        self.layers.append(Layer(call.name or kind, kind, shape, parameters, call.multiply_adds, seen, dropped))

    def _refuse_empty(self, name: str, arguments: Sequence[Any]) -> None:
        """Note what windows leave out; raise where nothing would come out of them."""
        call = self.calls[-1]
        axes = self.axes.get(arguments[0]) if arguments and isinstance(arguments[0], Tensor) else None
        for slide in slides(name, arguments):
            if slide.result < 1:
                around = f" with {slide.padding} around them" if slide.padding else ""
                raise _NothingLeftError(
                    f"a kernel of {slide.window.reach} does not fit into the {slide.length} voxels{around} that reach "
                    f"it along image axis {slide.axis}: nothing would come out; take a larger image, or fewer layers"
                )
            lost = slide.unseen(axes[slide.axis].margin if axes else 0)
            if lost:
                call.dropped[slide.axis] = lost

    def _follow(self, func: Any, name: str, arguments: list[Any], results: list[Tensor]) -> None:
        given = [part for part in tree_leaves(arguments) if isinstance(part, Tensor)]
        if name == "_to_copy" and given[0].device.type == "cpu" and given[0].ndim == 1:
            self.lists[results[0]] = given[0].tolist()  # places to pick, which would lose their content
        from_image = [part for part in given if part in self.axes]
        if not from_image:
            return
        found: Axes | None = None
        if all(self.axes[part] is not None for part in from_image):
            arguments = [self.lists.get(part, part) if isinstance(part, Tensor) else part for part in arguments]
            pointwise = torch.Tag.pointwise in func.tags
            found = axes_behind(name, arguments, results[0], self._known, pointwise=pointwise)
        for part in results:
            self.axes[part] = found if part.ndim == results[0].ndim else None

    def _known(self, part: Any) -> Axes | None:
        return self.axes.get(part) if isinstance(part, Tensor) else None

    def _see_locally(self, module: LocallyConnected, images: Tensor, result: Tensor) -> dict[int, int]:
        """Places of a layer of our own, which sees as a convolution does, and computes in another way.

        Gives what it leaves out, by axis.
        """
        axes = self.axes.get(images)
        reach = window(module.kernel, stride=module.stride, padding=0, dilation=1)
        self.axes[result] = axes and tuple(
            axis.windowed(reach, length) for axis, length in zip(axes, module.out_size, strict=True)
        )
        moves = Window(module.kernel, module.stride)
        lost = {axis: Slide(axis, length, moves, 0).unseen(0) for axis, length in enumerate(images.shape[2:])}
        return {axis: count for axis, count in lost.items() if count}

    def _field(self, axes: Axes | None) -> Field:
        if axes is None:
            return None
        if all(axis.dim is None and axis.ends == (0, size - 1) for axis, size in zip(axes, self.size, strict=True)):
            return "all"
        return tuple(extent(axis.reach, axis.length) for axis in axes)


class _NothingLeftError(ValueError):
    """A window does not fit into what it is given."""


def _complete(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """All arguments of an operator in the order of its schema."""
    return [
        args[index] if index < len(args) else kwargs.get(each.name, each.default_value)
        for index, each in enumerate(func._schema.arguments)
    ]
