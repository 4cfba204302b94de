"""The centreline of a binary structure, by thinning that keeps its topology."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from hilum.geometry.surfaces import bounding_box, true_axes

if TYPE_CHECKING:
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]
    Places = npt.NDArray[np.intp]

STEPS = np.array([step for step in product((-1, 0, 1), repeat=3) if any(step)])
"""From a voxel to its 26 neighbours."""
DISTANCE = np.abs(STEPS).sum(axis=1)
FACES, FACES_AND_EDGES = DISTANCE == 1, DISTANCE <= 2
_APART = np.abs(STEPS[:, None] - STEPS)
TOUCHING = (_APART.max(axis=2) <= 1).astype(np.float32)
"""Which of the neighbours (26, 26) share a face, an edge or a corner with each other."""
SIDE_BY_SIDE = ((_APART.sum(axis=2) <= 1) & FACES_AND_EDGES & FACES_AND_EDGES[:, None]).astype(np.float32)
"""Which of the 18 nearest neighbours share a face with each other."""
CODE = 2 ** np.arange(26)


def skeleton(mask: Mask) -> Mask:
    """The voxels of the centreline of a structure (I, J, K), same shape; every component keeps at least one.

    Voxels are taken off from each side in turn, where that changes neither the components (neighbours share a face, an
    edge or a corner) nor the holes and tunnels, and where they are no end of a line. Those taken at once are never
    neighbours: they lie in one of eight subfields (Bertrand and Aktouf 1994). What is one voxel thick, as in an image,
    is thinned in its plane.
    """
    box = bounding_box(mask)
    padded = np.pad(mask[box], 1)
    flat = padded.reshape(-1)
    widths = np.array([padded.shape[1] * padded.shape[2], padded.shape[2], 1])
    around = STEPS @ widths
    sides = [sign * widths[axis] for axis in true_axes(mask[box].shape) for sign in (-1, 1)]
    places = np.flatnonzero(flat)
    fields = _subfields(places, padded.shape)
    left = 0
    while left != len(places):
        left = len(places)
        for side in sides:
            border = np.flatnonzero(~flat[places + side])
            border = border[_removable(flat, places[border], around)]
            for field in range(8):
                some = places[border[fields[border] == field]]
                flat[some[_removable(flat, some, around)]] = False
            kept = flat[places]
            places, fields = places[kept], fields[kept]
    thin = np.zeros_like(mask)
    thin[box] = padded[1:-1, 1:-1, 1:-1]
    return thin


def _subfields(places: Places, shape: tuple[int, ...]) -> Places:
    """The number, 0 to 7, that tells for each axis whether a place is odd or even."""
    i, j, k = np.unravel_index(places, shape)
    return (i % 2) * 4 + (j % 2) * 2 + k % 2


def _removable(flat: Mask, places: Places, around: Places) -> Mask:
    """Which of the places are simple points (Bertrand and Malandain 1994) and no end of a line."""
    codes, which = np.unique(flat[places[:, None] + around] @ CODE, return_inverse=True)
    inside = (codes[:, None] & CODE) > 0
    outside = ~inside & FACES_AND_EDGES
    simple = _connected(inside, inside, TOUCHING) & _connected(outside, outside & FACES, SIDE_BY_SIDE)
    removable: Mask = (simple & (inside.sum(axis=1) > 1))[which]
    return removable


def _connected(members: Mask, wanted: Mask, adjacent: npt.NDArray[np.float32]) -> Mask:
    """For each row (M, 26): whether there is a wanted neighbour, and from one of them members lead to all of them."""
    reached = np.zeros_like(members)
    rows = np.arange(len(members))
    reached[rows, wanted.argmax(axis=1)] = wanted.any(axis=1)
    size = -1
    while size != reached.sum():
        size = int(reached.sum())
        reached = (reached.astype(np.float32) @ adjacent > 0) & members
    linked: Mask = np.logical_and(wanted.any(axis=1), ~np.any(wanted & ~reached, axis=1))
    return linked
