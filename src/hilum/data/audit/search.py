"""Which pairs of thumbnails could be copies: all against all, in every orientation and with every small crop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from hilum.data.audit.thumbnails import SIDE_3D, SIDES_2D, detail, smaller, window

SIDE = {2: 32, 3: 16}
"""Side of the thumbnails that are compared all against all."""
BAND = (0.7, 2.0)
"""Standard deviations, in pixels of these, between which detail counts."""
INTERVALS = ((0.0, 1.0), (0.03, 0.97))
"""What a crop may have left of each axis, roughly: the alignment finds the rest. Tried in either image of a pair."""
COMPONENTS = 128
"""Principal components of the detail that are compared."""
FITTED = 2000
"""Images, in any orientation, that the components are found from."""
WHITENING = 0.25
"""Components are divided by their variance to this power: what all images have in common counts less."""
LIKELY = 0.65
"""Pairs whose components correlate less are no candidates (planted copies: 0.74 or more)."""
NEIGHBOURS = 3
"""Candidates that an image has at most, the most alike ones."""
BLOCK = 1024
"""Images that are compared with as many others at a time, which bounds the memory."""

Orientation = tuple[int, bool]
"""Quarter turns of an image, then whether it is mirrored. For a volume: which axes are mirrored, as bits, and False."""


@dataclass(frozen=True)
class Candidate:
    """`window` (start and stop along each axis) of image `second`, once turned, could be image `first`.

    `score` tells how alike they are, as the correlation of their components.
    """

    first: int
    second: int
    orientation: Orientation
    window: tuple[tuple[float, float], ...]
    score: float


def orientations(axes: int) -> list[Orientation]:
    """The eight orientations of a square, or the eight mirror images of a cube; the first changes nothing."""
    if axes == 3:
        return [(bits, False) for bits in range(8)]
    return [(turns, mirrored) for mirrored in (False, True) for turns in range(4)]


def turned(image: Tensor, orientation: Orientation, *, axes: int) -> Tensor:
    """The image (..., *space) in another orientation."""
    number, mirrored = orientation
    if axes == 3:
        flipped = [axis - 3 for axis in range(3) if number >> axis & 1]
        return image.flip(flipped) if flipped else image
    image = torch.rot90(image, number, (-2, -1))
    return image.flip(-1) if mirrored else image


def in_words(orientation: Orientation, *, axes: int) -> str:
    """What was done to the second image of a pair: "turned by 90 degrees, mirrored"."""
    number, mirrored = orientation
    if axes == 3:
        flipped = [str(axis + 1) for axis in range(3) if number >> axis & 1]
        return f"mirrored along axis {' and '.join(flipped)}" if flipped else ""
    parts = [f"turned by {90 * number} degrees"] if number else []
    return ", ".join(parts + (["mirrored"] if mirrored else []))


def candidates(thumbnails: Tensor) -> list[Candidate]:
    """Pairs that could be copies, of thumbnails (N, *square) of one size; each pair once, with its best placement.

    Thumbnails are compared by the leading components of their local detail: N^2 products of 128 numbers for each of 32
    placements of images (64 of volumes). That is seconds for 5 000, and grows with the square; the memory with N.
    """
    axes = thumbnails.ndim - 1
    images = detail(smaller(thumbnails, SIDE[axes]), *BAND)
    basis = _components(images)
    values, others = _nearest(images, basis)
    pairs = {
        (min(row, other), max(row, other))
        for row, column in (values > LIKELY).nonzero().tolist()
        for other in [int(others[row, column])]
    }
    return _placed(sorted(pairs), images, basis)


def _nearest(images: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """For each image, how alike the NEIGHBOURS most alike others are in their best placement, and which they are."""
    queries = _unit(images.flatten(1) @ basis.T)
    values = torch.full((len(images), NEIGHBOURS), -1.0)
    others = torch.zeros(len(images), NEIGHBOURS, dtype=torch.long)
    for left in range(0, len(images), BLOCK):
        banks = [bank for _, bank in _placements(images[left : left + BLOCK], basis)]
        for top in range(0, len(images), BLOCK):
            rows = slice(top, top + BLOCK)
            alike = torch.zeros(len(queries[rows]), len(banks[0]))
            for bank in banks:
                torch.maximum(alike, (queries[rows] @ bank.T).abs_(), out=alike)
            if top == left:
                alike.fill_diagonal_(-1.0)
            new, which = alike.topk(min(NEIGHBOURS, len(banks[0])), dim=1)
            values[rows], chosen = torch.cat([values[rows], new], dim=1).topk(NEIGHBOURS, dim=1)
            others[rows] = torch.cat([others[rows], which + left], dim=1).gather(1, chosen)
    return values, others


def _placed(pairs: list[tuple[int, int]], images: Tensor, basis: Tensor) -> list[Candidate]:
    """The placement of either image of each pair in which it is most like the other."""
    if not pairs:
        return []
    queries = _unit(images.flatten(1) @ basis.T)
    both = torch.tensor([*pairs, *((second, first) for first, second in pairs)])
    best, which, placements = torch.full((len(both),), -1.0), torch.zeros(len(both), dtype=torch.long), []
    for number, (placement, bank) in enumerate(_placements(images, basis)):
        placements.append(placement)
        value = (queries[both[:, 0]] * bank[both[:, 1]]).sum(1).abs()
        which = torch.where(value > best, number, which)
        best = torch.maximum(best, value)
    found = []
    for index in range(len(pairs)):
        row = index if best[index] >= best[index + len(pairs)] else index + len(pairs)
        orientation, cut = placements[int(which[row])]
        first, second = both[row].tolist()
        found.append(Candidate(first, second, orientation, cut, float(best[row])))
    return found


def _placements(
    images: Tensor, basis: Tensor
) -> Iterator[tuple[tuple[Orientation, tuple[tuple[float, float], ...]], Tensor]]:
    """Every orientation and window, with the unit components (N, components) of all images in it."""
    side, axes = images.shape[-1], images.ndim - 1
    for orientation in orientations(axes):
        flat = turned(images, orientation, axes=axes).flatten(1)
        for cut in product(INTERVALS, repeat=axes):
            # Cutting the window out of the image is linear, so it is done to the few components instead.
            stretched = basis.reshape(-1, *[side] * axes)
            for axis, (start, stop) in enumerate(cut, 1):
                stretched = (stretched.movedim(axis, -1) @ window(side, start, stop)).movedim(-1, axis)
            yield (orientation, cut), _unit(flat @ stretched.flatten(1).T)


def _components(images: Tensor) -> Tensor:
    """Leading components (components, pixels) of the detail in all orientations, the strongest made weaker."""
    axes = images.ndim - 1
    every = orientations(axes)
    step = -(-len(images) * len(every) // FITTED)
    seen = _unit(torch.cat([turned(images[::step], orientation, axes=axes).flatten(1) for orientation in every]))
    wide = len(seen) < seen.shape[1]  # then the products of images are fewer than those of pixels
    strengths, vectors = torch.linalg.eigh(seen @ seen.T if wide else seen.T @ seen)
    count = min(COMPONENTS, len(strengths))
    strengths, vectors = strengths.flip(0)[:count], vectors.flip(1)[:, :count]
    components = _unit((seen.T @ vectors).T) if wide else vectors.T
    return components / strengths.clamp(min=float(strengths[0]) * 1e-6).pow(WHITENING)[:, None]


def _unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-9)


def side_of(first: int, second: int, *, axes: int) -> int:
    """The side at which two thumbnails of different sides are compared."""
    return SIDE_3D if axes == 3 else max(side for side in SIDES_2D if side <= min(first, second))
