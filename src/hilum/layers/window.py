"""The arithmetic of a window that slides over an image: how long its output is, and what it never sees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hilum.layers.padding import FILLINGS, Filling, Padding


@dataclass(frozen=True)
class Window:
    """A kernel of f voxels an axis, moved by s voxels, over an image of n that is padded by p on either side.

    Gives floor((n + 2 p - d (f - 1) - 1) / s) + 1 voxels, with the dilation d: floor((n + 2 p - f) / s) + 1 for d = 1.
    `padding` is a number of zeros, or the name of a rule; `margin` is the p of those that fill, (f - 1) / 2 unless it
    is given. `ceil` rounds up instead, as some poolings do.
    """

    kernel: int
    stride: int = 1
    padding: Padding | int = 0
    dilation: int = 1
    ceil: bool = False
    margin: int | None = None

    @property
    def reach(self) -> int:
        """Voxels from the first to the last that the kernel sees at once."""
        return self.dilation * (self.kernel - 1) + 1

    def widths(self, length: int) -> tuple[int, int]:
        """Voxels that are put before and after an axis of `length`."""
        if isinstance(self.padding, int):
            return self.padding, self.padding
        if self.padding == "valid":
            return 0, 0
        if self.padding == "same":
            needed = max(0, (-(-length // self.stride) - 1) * self.stride + self.reach - length)
            return needed // 2, needed - needed // 2
        width = (self.reach - 1) // 2 if self.margin is None else self.margin
        return width, width

    def length(self, length: int) -> int:
        """Length of the output along an axis of `length`; 0 or less where the kernel does not fit in."""
        steps, rest = divmod(self._room(length), self.stride)
        # A window that starts beyond the image and its padding at the start would see nothing: torch leaves it out.
        extra = self.ceil and rest and (steps + 1) * self.stride < length + self.widths(length)[0]
        return steps + 1 + int(bool(extra))

    def unseen(self, length: int) -> int:
        """Voxels at the end of an axis, padding included, that no window reaches since the stride steps over them."""
        room = self._room(length)
        return 0 if room < 0 else max(0, room - (self.length(length) - 1) * self.stride)

    @property
    def filling(self) -> Filling:
        """What is put around the image."""
        return "zero" if isinstance(self.padding, int) else FILLINGS[self.padding]

    @property
    def zeros(self) -> int | None:
        """Zeros on either side, where the padding is that at any length; else None."""
        if self.padding == "valid":
            return 0
        if self.padding == "same" and self.stride == 1 and self.reach % 2:
            return (self.reach - 1) // 2
        return self.widths(1)[0] if isinstance(self.padding, int) or self.padding == "zero" else None

    def _room(self, length: int) -> int:
        return length + sum(self.widths(length)) - self.reach


def output_size(windows: Iterable[Window], size: Sequence[int]) -> tuple[int, ...]:
    """Size of what comes out of a row of windows."""
    for window in windows:
        size = [window.length(length) for length in size]
    return tuple(size)


def window_faults(layers: Iterable[tuple[str, Window]], size: Sequence[int]) -> list[str]:
    """Why images of `size` do not pass a row of named windows: for each axis the first layer that leaves nothing."""
    layers = list(layers)
    faults = []
    for axis, length in enumerate(size):
        left = length
        for name, window in layers:
            before, left = left, window.length(left)
            if left < 1:
                least = shortest([other for _, other in layers])
                faults.append(
                    f"image axis {axis} is {length}, of which {before} reach {name} (a kernel of {window.reach}):"
                    f" nothing would come out; must be at least {least}"
                )
                break
    return faults


def shortest(windows: Sequence[Window]) -> int:
    """Length of the shortest axis that passes a row of windows."""
    length = 1
    while any(part < 1 for part in _lengths(windows, length)):
        length += 1
    return length


def _lengths(windows: Sequence[Window], length: int) -> Iterable[int]:
    for window in windows:
        length = window.length(length)
        yield length
        if length < 1:
            return
