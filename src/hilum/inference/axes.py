"""The axes of a volume at prediction: which one slices are stacked along, and which are mirrored."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hilum.errors import ConfigError, nearest
from hilum.volume import Grid


def coarsest_axis(grid: Grid) -> int:
    """The axis that slices of a scan are stacked along: of the largest spacing, the last of equals; K for one slice."""
    if grid.shape[2] == 1:
        return 2
    return max(range(3), key=lambda axis: (round(grid.spacing[axis], 3), axis))


def mirrorings(axes: Sequence[str | int], names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """All ways to mirror one or more of `axes`, as sets of indices: two axes give three, three give seven.

    `axes` are indices or the names of the network's spatial axes, which `names` lists in order, or "all" of them.
    Raises ConfigError for an axis that there is not.
    """
    indices = sorted({_axis_index(axis, names) for axis in (names if axes == "all" else axes)})
    return tuple(chosen for count in range(1, len(indices) + 1) for chosen in itertools.combinations(indices, count))


def _axis_index(axis: str | int, names: Sequence[str]) -> int:
    if isinstance(axis, int) and 0 <= axis < len(names):
        return axis
    if isinstance(axis, str) and axis in names:
        return names.index(axis)
    close = nearest(str(axis), names)
    hint = f"; did you mean '{close}'?" if close else ""
    raise ConfigError(f"received the axis {axis!r} to mirror, expected one of {', '.join(names)}{hint}")
