"""Where the spatial axes of an image lie in a tensor that was computed from it, and what its places see of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from hilum.inspection.reach import Reach, Straight, either, through

Shape = Sequence[int]


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of the image in a tensor.

    It lies along the tensor's dimension `dim`, perhaps together with others, and has `length` places; where `dim` is
    None every value sees the same of it. The last `margin` places are padding. All places together see the image from
    the first to the last of `ends`: where a layer has dropped its border, less than their reaches say, which go on
    beyond the borders.
    """

    reach: Reach
    length: int
    dim: int | None
    ends: tuple[int, int]
    margin: int = 0

    def whole(self) -> Axis:
        """The axis once every value depends on all of its places."""
        return self if self.dim is None else Axis(Straight(0, *self.ends), self.length, None, self.ends)

    def windowed(self, reach: Reach, length: int, *, margin: int = 0) -> Axis:
        """The axis behind a layer that sees `reach` of it and gives `length` places."""
        if self.dim is None:
            return replace(self, margin=margin)
        return Axis(through(self.reach, reach), length, self.dim, self._ends_of(*reach(0, length - 1)), margin)

    def _ends_of(self, first: int, last: int) -> tuple[int, int]:
        """What the places from the first to the last see of the image together, of those that there are."""
        seen = self.reach(max(0, first), min(self.length - 1, last))
        return max(self.ends[0], seen[0]), min(self.ends[1], seen[1])


Axes = tuple[Axis, ...]
"""Of a tensor, one for each axis of the image. None stands for a tensor whose places could not be followed."""


def of_image(shape: Shape) -> Axes:
    """The axes of an image (B, C, *spatial) itself."""
    return tuple(Axis(Straight(), length, dim, (0, length - 1)) for dim, length in enumerate(shape[2:], start=2))


def alone(axes: Axes, axis: Axis) -> bool:
    """Whether no other axis lies along the same dimension."""
    return sum(other.dim == axis.dim for other in axes) == 1


def contracted(axes: Axes, dims: Iterable[int]) -> Axes:
    """The axes once sums over these dimensions are taken, which stay where they are."""
    dims = set(dims)
    return tuple(axis.whole() if axis.dim in dims else axis for axis in axes)


def moved(axes: Axes, place: Callable[[int], int]) -> Axes:
    """The axes in a tensor whose dimensions have changed places."""
    return tuple(axis if axis.dim is None else replace(axis, dim=place(axis.dim)) for axis in axes)


def joined(tensors: Sequence[tuple[Axes, Shape]], shape: Shape) -> Axes | None:
    """The axes of what several tensors give together, value by value, in a tensor of `shape`.

    Smaller tensors are spread over it from the last dimension on. None where their axes lie otherwise.
    """
    spread = [_spread(axes, own, shape) for axes, own in tensors]
    result = spread[0]
    for other in spread[1:]:
        if any(a.dim != b.dim and None not in (a.dim, b.dim) for a, b in zip(result, other, strict=True)):
            return None
        result = tuple(_both(a, b) for a, b in zip(result, other, strict=True))
    return result


def viewed(axes: Axes, before: Shape, behind: Shape) -> Axes | None:
    """The axes in a tensor of another shape with the same values in the same order; None where an axis is cut up."""
    found = {number: axis.whole() for number, axis in enumerate(axes) if axis.dim is None or before[axis.dim] == 1}
    for dim in {axis.dim for number, axis in enumerate(axes) if axis.dim is not None and number not in found}:
        here = [number for number, axis in enumerate(axes) if axis.dim == dim]
        place = _place(dim, before, behind)
        if place is not None:
            found |= {number: replace(axes[number], dim=place) for number in here}
            continue
        start = _start(math.prod(before[:dim]), behind)
        if start is None or [*behind[start : start + len(here)]] != [axes[number].length for number in here]:
            return None
        # Axes that lay along one dimension have one each again.
        found |= {number: replace(axes[number], dim=start + offset) for offset, number in enumerate(here)}
    return tuple(found[number] for number in range(len(axes)))


def _both(one: Axis, other: Axis) -> Axis:
    if one.dim is None and other.dim is not None:
        one, other = other, one
    if one.dim is not None and other.dim is None and other.ends[0] <= one.ends[0] and other.ends[1] >= one.ends[1]:
        return other  # every value sees at least what any place sees
    ends = min(one.ends[0], other.ends[0]), max(one.ends[1], other.ends[1])
    return replace(one, reach=either(one.reach, other.reach), ends=ends, margin=min(one.margin, other.margin))


def _spread(axes: Axes, own: Shape, shape: Shape) -> Axes:
    shift, result = len(shape) - len(own), list[Axis]()
    for axis in axes:
        if axis.dim is None:
            result.append(axis)
        elif own[axis.dim] < shape[axis.dim + shift]:
            result.append(axis.whole())
        else:
            result.append(replace(axis, dim=axis.dim + shift))
    return tuple(result)


def _start(values: int, shape: Shape) -> int | None:
    """The dimension before which a tensor of `shape` has so many values along the others; of several the last."""
    return next((dim for dim in range(len(shape) - 1, -1, -1) if math.prod(shape[:dim]) == values), None)


def _place(dim: int, before: Shape, behind: Shape) -> int | None:
    """The dimension behind that holds all of a dimension before; None where it is cut up."""
    outer = math.prod(before[:dim])
    inner = outer * before[dim]
    for place in range(len(behind)):
        start, end = math.prod(behind[:place]), math.prod(behind[: place + 1])
        if outer % start == 0 and end % inner == 0:
            return place
    return None
