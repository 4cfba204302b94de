"""Outlines of masks along the edges of their voxels, as paths of SVG."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Node = tuple[int, int]


def outline(mask: npt.NDArray[np.bool_]) -> str:
    """Closed paths around all parts and holes of a mask (rows, columns), in units of pixels; empty for an empty one.

    The path runs exactly along the edges of pixels: no smoothing moves it. x are columns, y rows, both from 0.
    """
    following = _edges(mask)
    pieces = []
    while following:
        start = next(iter(following))
        loop, here, before = [start], start, (0, 0)
        while True:
            options = following[here]
            there = _turn(here, before, options)
            options.remove(there)
            if not options:
                del following[here]
            before = (there[0] - here[0], there[1] - here[1])
            here = there
            if here == start:
                break
            loop.append(here)
        pieces.append(_written(loop))
    return "".join(pieces)


def _edges(mask: npt.NDArray[np.bool_]) -> dict[Node, list[Node]]:
    """Where each corner (x, y) of the pixels' grid leads to, walking with the mask on the right."""
    inside = np.pad(mask, 1)
    found: dict[Node, list[Node]] = {}
    down = np.diff(inside.astype(np.int8), axis=0)[:, 1:-1]
    for y, x in np.argwhere(down).tolist():  # the mask begins (1) or ends (-1) below this edge
        start, stop = ((x, y), (x + 1, y)) if down[y, x] > 0 else ((x + 1, y), (x, y))
        found.setdefault(start, []).append(stop)
    across = np.diff(inside.astype(np.int8), axis=1)[1:-1]
    for y, x in np.argwhere(across).tolist():
        start, stop = ((x, y + 1), (x, y)) if across[y, x] > 0 else ((x, y), (x, y + 1))
        found.setdefault(start, []).append(stop)
    return found


def _turn(here: Node, before: Node, options: list[Node]) -> Node:
    """Where to go from a corner at which two pixels touch: to the right, so that they stay apart."""
    if len(options) == 1:
        return options[0]
    right = (here[0] - before[1], here[1] + before[0])
    return right if right in options else options[0]


def _written(loop: list[Node]) -> str:
    """A closed path through the corners at which the loop turns."""
    around = zip(loop[-1:] + loop[:-1], loop, loop[1:] + loop[:1], strict=True)
    corners = [
        here
        for before, here, after in around
        if (here[0] - before[0], here[1] - before[1]) != (after[0] - here[0], after[1] - here[1])
    ]
    return "M" + "L".join(f"{x} {y}" for x, y in corners) + "Z"
