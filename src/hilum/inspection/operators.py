"""What torch's operators on one tensor do to the axes of an image in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from hilum.inspection.axes import Axes, Axis, alone, contracted, joined, moved, viewed
from hilum.inspection.reach import Straight, shared_out, stretched, transposed_window, window
from hilum.inspection.sliding import SLIDING, one, slides

Rule = Callable[[Sequence[Any], Tensor, Axes], Axes | None]
"""From all arguments, the result and the axes of the first argument: the axes of the result, None where places cannot
be followed."""

SHAPES = ("view", "_unsafe_view", "reshape", "_reshape_alias", "squeeze", "unsqueeze")
SAME = (
    *("native_batch_norm", "_native_batch_norm_legit_no_training", "_native_batch_norm_legit", "cudnn_batch_norm"),
    *("_batch_norm_no_update", "native_group_norm", "native_layer_norm", "native_dropout"),
    *("clone", "detach", "alias", "_to_copy", "contiguous"),
)
"""What leaves places where they are. The statistics of norms, which see all of an image, do not count."""
REDUCTIONS = ("mean", "sum", "amax", "amin", "max", "min", "all", "any", "var", "var_mean", "std", "prod")


def at_places(result: Tensor, axes: Axes) -> bool:
    """Whether a tensor (B, C, *spatial) has the axes of the image in their places."""
    places = all(axis.dim in (None, number) and alone_or_none(axes, axis) for number, axis in enumerate(axes, start=2))
    return places and result.ndim == len(axes) + 2


def alone_or_none(axes: Axes, axis: Axis) -> bool:
    """Whether no other axis lies along the dimension of this one."""
    return axis.dim is None or alone(axes, axis)


def _slid(name: str) -> Rule:
    def rule(arguments: Sequence[Any], result: Tensor, axes: Axes) -> Axes | None:
        if not at_places(arguments[0], axes):
            return None
        made = []
        for slide, axis in zip(slides(name, arguments), axes, strict=True):
            moves = slide.window
            reach = window(moves.kernel, stride=moves.stride, padding=slide.padding, dilation=moves.dilation)
            made.append(axis.windowed(reach, result.shape[slide.axis + 2]))
        return tuple(made)

    return rule


def _convolution(arguments: Sequence[Any], result: Tensor, axes: Axes) -> Axes | None:
    if not arguments[6]:
        return _slid("convolution")(arguments, result, axes)
    if not at_places(arguments[0], axes):
        return None
    made = []
    for number, axis in enumerate(axes):
        stride, padding, dilation = (one(given, number) for given in arguments[3:6])
        kernel = arguments[1].shape[number + 2]
        reach = transposed_window(kernel, stride=stride, padding=padding, dilation=dilation)
        made.append(axis.windowed(reach, result.shape[number + 2]))
    return tuple(made)


def _adaptive(arguments: Sequence[Any], result: Tensor, axes: Axes) -> Axes | None:
    if not at_places(arguments[0], axes):
        return None
    return tuple(_shared(axis, result.shape[number]) for number, axis in enumerate(axes, start=2))


def _shared(axis: Axis, length: int) -> Axis:
    if length == 1:
        return axis.whole()
    if length == axis.length:
        return axis
    size, rest = divmod(axis.length, length)
    even = window(size, stride=size, padding=0, dilation=1)
    return axis.windowed(shared_out(axis.length, length) if rest else even, length)


def _stretched(linear: bool) -> Rule:
    def rule(arguments: Sequence[Any], result: Tensor, axes: Axes) -> Axes | None:
        if not at_places(arguments[0], axes):
            return None
        made = []
        for number, axis in enumerate(axes, start=2):
            length = result.shape[number]
            reach = stretched(axis.length, length, linear=linear, corners=linear and bool(arguments[2]))
            made.append(axis if length == axis.length else axis.windowed(reach, length))
        return tuple(made)

    return rule


def _padded(arguments: Sequence[Any], result: Tensor, axes: Axes) -> Axes | None:
    made = []
    for number, axis in enumerate(axes, start=2):
        # Of an axis of which every value sees the same, what is added at the end is padding all the same.
        dim = number if axis.dim is None and at_places(arguments[0], axes) else axis.dim
        first = -1 if dim is None else 2 * (result.ndim - 1 - dim)  # widths are listed from the last dimension on
        before, after = arguments[1][first : first + 2] if 0 <= first < len(arguments[1]) else (0, 0)
        if (before or after) and axis.dim is not None and not alone(axes, axis):
            return None
        shift = Straight(1, -before, -before)
        length = axis.length + before + after
        made.append(axis.windowed(shift, length, margin=max(0, after)) if before or after else axis)
    return tuple(made)


def _sliced(arguments: Sequence[Any], result: Tensor, axes: Axes) -> Axes | None:
    dim, start, step = arguments[1] % result.ndim, arguments[2] or 0, arguments[4]
    made = []
    for axis in axes:
        begin = start + axis.length if start < 0 else min(start, axis.length)
        if axis.dim != dim or arguments[0].shape == result.shape:
            made.append(axis)
        elif alone(axes, axis) and axis.length == arguments[0].shape[dim]:
            made.append(axis.windowed(Straight(step, begin, begin), result.shape[dim]))
        else:
            return None
    return tuple(made)


def _picked(arguments: Sequence[Any], result: Tensor, axes: Axes) -> Axes | None:
    dim = arguments[1] % (result.ndim + 1)
    return moved(contracted(axes, {dim}), lambda place: place - (place > dim))


def _listed(arguments: Sequence[Any], result: Tensor, axes: Axes) -> Axes | None:
    """Places picked by a list: an image that is continued by mirroring is followed where it is not mirrored."""
    dim, places = arguments[1] % result.ndim, arguments[2]
    made = []
    for axis in axes:
        if axis.dim != dim:
            made.append(axis)
        elif isinstance(places, list) and alone(axes, axis):
            offsets = [number - place for number, place in enumerate(places)]
            before = max(set(offsets), key=offsets.count)
            margin = max(0, len(places) - before - axis.length)
            made.append(axis.windowed(Straight(1, -before, -before), len(places), margin=margin))
        else:
            return None
    return tuple(made)


def _reduced(arguments: Sequence[Any], result: Tensor, axes: Axes) -> Axes | None:
    ndim = arguments[0].ndim
    given = arguments[1] if len(arguments) > 1 and isinstance(arguments[1], int | list | tuple) else None
    dims = {dim % ndim for dim in ([given] if isinstance(given, int) else given or range(ndim))}
    found = contracted(axes, dims)
    if result.ndim == ndim:
        return found
    return moved(found, lambda place: place - sum(dim < place for dim in dims))


def _permuted(arguments: Sequence[Any], result: Tensor, axes: Axes) -> Axes | None:
    order = [dim % result.ndim for dim in arguments[1]]
    return moved(axes, order.index)


def _transposed(arguments: Sequence[Any], result: Tensor, axes: Axes) -> Axes | None:
    first, second = (dim % result.ndim for dim in (arguments[1:3] if len(arguments) > 2 else (0, 1)))
    swapped = {first: second, second: first}
    return moved(axes, lambda place: swapped.get(place, place))


def _viewed(arguments: Sequence[Any], result: Tensor, axes: Axes) -> Axes | None:
    return viewed(axes, arguments[0].shape, result.shape)


def _same(arguments: Sequence[Any], result: Tensor, axes: Axes) -> Axes | None:
    return axes if arguments[0].shape == result.shape else None


def _expanded(arguments: Sequence[Any], result: Tensor, axes: Axes) -> Axes | None:
    return joined([(axes, arguments[0].shape)], result.shape)


def _repeated(arguments: Sequence[Any], result: Tensor, axes: Axes) -> Axes | None:
    shift = result.ndim - arguments[0].ndim
    found = moved(axes, lambda place: place + shift)
    return None if any(axis.dim is not None and arguments[1][axis.dim] != 1 for axis in found) else found


def _softmax(arguments: Sequence[Any], result: Tensor, axes: Axes) -> Axes | None:
    return contracted(axes, {arguments[1] % result.ndim})


def _split(arguments: Sequence[Any], result: Tensor, axes: Axes) -> Axes | None:
    dim = arguments[2] % result.ndim
    return None if any(axis.dim == dim for axis in axes) else axes


def _unbound(arguments: Sequence[Any], result: Tensor, axes: Axes) -> Axes | None:
    dim = arguments[1] % (result.ndim + 1)
    if any(axis.dim == dim for axis in axes):
        return None
    return tuple(replace(axis, dim=axis.dim - (axis.dim > dim)) if axis.dim is not None else axis for axis in axes)


RULES: dict[str, Rule] = {
    **{name: _slid(name) for name in SLIDING},
    "convolution": _convolution,
    **dict.fromkeys(("_adaptive_avg_pool2d", "_adaptive_avg_pool3d"), _adaptive),
    **dict.fromkeys(("upsample_nearest2d", "upsample_nearest3d"), _stretched(linear=False)),
    **dict.fromkeys(("upsample_bilinear2d", "upsample_trilinear3d"), _stretched(linear=True)),
    **dict.fromkeys(("constant_pad_nd", "replication_pad2d", "replication_pad3d"), _padded),
    **dict.fromkeys(("reflection_pad2d", "reflection_pad3d"), _padded),
    **dict.fromkeys(REDUCTIONS, _reduced),
    **dict.fromkeys(SHAPES, _viewed),
    **dict.fromkeys(SAME, _same),
    **dict.fromkeys(("_softmax", "_log_softmax"), _softmax),
    **dict.fromkeys(("split", "split_with_sizes"), _split),
    "slice": _sliced,
    "select": _picked,
    "index_select": _listed,
    "permute": _permuted,
    "transpose": _transposed,
    "t": _transposed,
    "expand": _expanded,
    "repeat": _repeated,
    "unbind": _unbound,
}
"""By the name of the operator below torch's functions; what works value by value needs none."""
