"""Which places of an image the places of a feature map depend on, along one axis: exact, also beyond the borders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

Reach = Callable[[int, int], tuple[int, int]]
"""Gives the first and the last place before, that the places from the first to the last behind depend on."""

LOOKED_AT = 32
"""Places on either side of the middle that are looked at where not all see equally much."""


@dataclass(frozen=True)
class Straight:
    """A reach that moves by `step` places at each place: from place * step + `before` to place * step + `after`.

    With the step 0, every place depends on the same ones.
    """

    step: int = 1
    before: int = 0
    after: int = 0

    def __call__(self, first: int, last: int) -> tuple[int, int]:
        """The first and the last place."""
        return first * self.step + self.before, last * self.step + self.after


def window(kernel: int, *, stride: int, padding: int, dilation: int) -> Reach:
    """What a kernel sees that slides over a padded axis."""
    return Straight(stride, -padding, dilation * (kernel - 1) - padding)


def transposed_window(kernel: int, *, stride: int, padding: int, dilation: int) -> Reach:
    """What the places see that a transposed convolution spreads an axis to."""
    reach = dilation * (kernel - 1)
    if stride == 1:
        return Straight(1, padding - reach, padding)
    return lambda first, last: (-((reach - padding - first) // stride), (last + padding) // stride)


def stretched(before: int, behind: int, *, linear: bool, corners: bool) -> Reach:
    """What an interpolation of `before` places at `behind` ones sees: the nearest, or the two that lie around each."""
    if not linear:
        return lambda first, last: (first * before // behind, last * before // behind)
    if corners:
        top, bottom = before - 1, max(1, behind - 1)
        return lambda first, last: (first * top // bottom, -(-last * top // bottom))
    # (place + 1/2) * before / behind - 1/2, rounded down for the first and up for the last.
    return lambda first, last: (
        ((2 * first + 1) * before - behind) // (2 * behind),
        -((behind - (2 * last + 1) * before) // (2 * behind)),
    )


def shared_out(before: int, behind: int) -> Reach:
    """What an adaptive pooling of `before` places into `behind` ones sees."""
    return lambda first, last: (first * before // behind, -(-(last + 1) * before // behind) - 1)


def through(outer: Reach, inner: Reach) -> Reach:
    """What is seen of the image by a layer that sees `inner` of a map that sees `outer` of the image."""
    if isinstance(outer, Straight) and isinstance(inner, Straight):
        before, after = outer(inner.before, inner.after)
        return Straight(outer.step * inner.step, before, after)
    return cache(lambda first, last: outer(*inner(first, last)))


def either(one: Reach, other: Reach) -> Reach:
    """What two maps that are added or joined see together."""
    if one is other:
        return one
    if isinstance(one, Straight) and isinstance(other, Straight) and one.step == other.step:
        return Straight(one.step, min(one.before, other.before), max(one.after, other.after))

    def union(first: int, last: int) -> tuple[int, int]:
        (start, stop), (begin, end) = one(first, last), other(first, last)
        return min(start, begin), max(stop, end)

    return cache(union)


def extent(reach: Reach, length: int) -> int:
    """How many places of the image a place sees, at most; those of an axis of `length` near its middle."""
    if isinstance(reach, Straight):
        return reach.after - reach.before + 1
    places = range(max(0, length // 2 - LOOKED_AT), min(length, length // 2 + LOOKED_AT))
    return max(last - first + 1 for first, last in (reach(place, place) for place in places))
