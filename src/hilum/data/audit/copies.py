"""Pairs of images that show the same: identical voxels, the same ones mirrored or turned, and near copies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import prod
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from hilum.case import Case, ImageRef
from hilum.data.audit.alignment import Alignment, Progress, align
from hilum.data.audit.looks import Look
from hilum.data.audit.search import SIDE, Candidate, Orientation, candidates, in_words, orientations, side_of
from hilum.data.audit.thumbnails import smaller
from hilum.formats.reading import read

How = Literal["identical", "turned", "near"]
COPY = {(2, 128): 0.87, (2, 64): 0.87, (2, 32): 0.95, (3, 32): 0.92}
"""Correlation of the finest detail from which two images are copies, by dimensions and side of the compared thumbnails:
with few pixels two exams of one patient come close. Chosen on one half of 500 X-rays, tried on the other."""
LARGEST_STRETCH = 1.25
"""A crop or another shape of pixels stretches an axis by at most this much; beyond it images are alike by chance."""
PROMISING = {(2, 32): 0.8}
"""Candidates less alike than this are not looked at: small images would bring many."""
FEW_PIXELS = 32
"""With thumbnails of this side plain shapes, such as a straight piece of a vessel, come close to many others."""
WHOLE = 0.02
"""A copy that shows less than the original by this share is called a crop."""


@dataclass(frozen=True)
class Scan:
    """One image of a case: which one, and the part that the case is in (empty where the split leaves it out)."""

    case: Case
    ref: ImageRef
    channel: int
    part: str


@dataclass(frozen=True)
class Pair:
    """Two images that show the same. `score` is 1 for the same voxels, else how alike their finest detail is.

    Once turned by `orientation`, the second shows point scale * x + shift where the first shows x (-1 to 1 along each
    axis); both are empty where no alignment was needed.
    """

    first: Scan
    second: Scan
    how: How
    score: float
    orientation: Orientation = (0, False)
    scale: tuple[float, ...] = ()
    shift: tuple[float, ...] = ()
    words: str = ""

    @property
    def across_parts(self) -> bool:
        """Whether what is learnt from one may be scored on the other."""
        return self.first.part != self.second.part and bool(self.first.part and self.second.part)

    @property
    def across_patients(self) -> bool:
        """Whether they are said to be of different patients."""
        return self.first.case.patient != self.second.case.patient


def find_pairs(
    scans: Sequence[Scan], looks: Mapping[ImageRef, Look], *, progress: Progress | None = None
) -> list[Pair]:
    """All pairs found, those across parts first; images without contrast are left out.

    Of several identical images each is paired with the first one only. `progress` is told how many of how many likely
    near copies of a channel were looked at.
    """
    known = [scan for scan in scans if scan.ref in looks and looks[scan.ref].thumbnail is not None]
    same, left = _grouped(known, lambda scan: looks[scan.ref].voxels)
    found = [Pair(first, second, "identical", 1.0) for first, second in same]
    turned, _ = _grouped(left, lambda scan: looks[scan.ref].heap)
    for first, second in turned:
        if _turned_alike(first.ref, second.ref):
            found.append(Pair(first, second, "turned", 1.0))
    done = {_cases(pair.first, pair.second) for pair in found}
    for pair in _near(left, looks, progress):
        if _cases(pair.first, pair.second) not in done:
            done.add(_cases(pair.first, pair.second))
            found.append(pair)
    return sorted(found, key=_gravity)


def _gravity(pair: Pair) -> tuple[bool, bool, int, float]:
    return not pair.across_parts, not pair.across_patients, ("identical", "turned", "near").index(pair.how), -pair.score


def _cases(first: Scan, second: Scan) -> frozenset[str]:
    return frozenset((first.case.id, second.case.id))


def _grouped(scans: Sequence[Scan], key: Callable[[Scan], str]) -> tuple[list[tuple[Scan, Scan]], list[Scan]]:
    """Scans of equal key, each with the first of them; and one scan of each key."""
    first: dict[str, Scan] = {}
    pairs = [(first[key(scan)], scan) for scan in scans if first.setdefault(key(scan), scan) is not scan]
    return pairs, list(first.values())


def _near(scans: Sequence[Scan], looks: Mapping[ImageRef, Look], progress: Progress | None) -> list[Pair]:
    """Near copies within each channel, images and volumes apart; the most alike first."""
    groups: dict[tuple[int, int], list[Scan]] = defaultdict(list)
    for scan in scans:
        groups[scan.channel, _thumbnail(looks[scan.ref]).ndim].append(scan)
    found = []
    for (_, axes), members in groups.items():
        drawn = [torch.from_numpy(_thumbnail(looks[scan.ref])) for scan in members]
        if len(drawn) < 2:
            continue
        likely = [
            pair for pair in candidates(_small(drawn, SIDE[axes])) if pair.score >= PROMISING.get(_size(pair, drawn), 0)
        ]
        alike = [
            (candidate, alignment)
            for candidate, alignment in zip(likely, align(drawn, likely, progress=progress), strict=True)
            if abs(alignment.score) >= COPY[_size(candidate, drawn)] and _plausible(alignment)
        ]
        plain = _likeness_to_themselves([pair for pair, _ in alike], drawn)
        found += [
            _near_pair(members, candidate, alignment)
            for candidate, alignment in alike
            if abs(alignment.score) > max(plain.get(index, 0.0) for index in (candidate.first, candidate.second))
        ]
    return sorted(found, key=lambda pair: -pair.score)


def _likeness_to_themselves(pairs: Sequence[Candidate], drawn: Sequence[torch.Tensor]) -> dict[int, float]:
    """How alike each small image of these pairs is to itself mirrored or turned, by its index.

    An image that is no more like another than like its own mirror image is a plain shape that proves nothing.
    """
    small = [pair for pair in pairs if _size(pair, drawn)[1] == FEW_PIXELS]
    whole = ((0.0, 1.0),) * drawn[0].ndim
    tried = [
        Candidate(index, index, orientation, whole, 1.0)
        for index in sorted({index for pair in small for index in (pair.first, pair.second)})
        for orientation in orientations(drawn[0].ndim)[1:]
    ]
    best: dict[int, float] = {}
    for one, alignment in zip(tried, align(drawn, tried), strict=True):
        best[one.first] = max(best.get(one.first, 0.0), abs(alignment.score))
    return best


def _small(drawn: Sequence[torch.Tensor], side: int) -> torch.Tensor:
    """Thumbnails of several sides as (N, *square) of one side."""
    small = torch.empty(len(drawn), *[side] * drawn[0].ndim)
    for own in {len(image) for image in drawn}:
        members = [index for index, image in enumerate(drawn) if len(image) == own]
        small[members] = smaller(torch.stack([drawn[index] for index in members]), side)
    return small


def _size(pair: Candidate, drawn: Sequence[torch.Tensor]) -> tuple[int, int]:
    """Dimensions and side at which a pair is compared."""
    first, second = drawn[pair.first], drawn[pair.second]
    return first.ndim, side_of(len(first), len(second), axes=first.ndim)


def _plausible(alignment: Alignment) -> bool:
    return all(1 / LARGEST_STRETCH <= scale <= LARGEST_STRETCH for scale in alignment.scale)


def _thumbnail(look: Look) -> npt.NDArray[np.uint8]:
    assert look.thumbnail is not None  # those without one were left out
    return look.thumbnail


def _near_pair(scans: Sequence[Scan], candidate: Candidate, alignment: Alignment) -> Pair:
    size = prod(alignment.scale)
    parts = [
        in_words(candidate.orientation, axes=len(alignment.scale)),
        "a negative" if alignment.score < 0 else "",
        f"{100 * min(size, 1 / size):.0f} % of it" if abs(np.log(size)) > WHOLE else "",
    ]
    return Pair(
        scans[candidate.first],
        scans[candidate.second],
        "near",
        min(abs(alignment.score), 1.0),
        candidate.orientation,
        alignment.scale,
        alignment.shift,
        ", ".join(part for part in parts if part),
    )


def _turned_alike(first: ImageRef, second: ImageRef) -> bool:
    """Whether the voxels of two images are the same in some order of axes and directions."""
    one, other = (read(ref).tensor.numpy() for ref in (first, second))
    for order in permutations(range(1, 4)):
        swapped = np.transpose(other, (0, *order))
        if swapped.shape != one.shape:
            continue
        for flips in range(8):
            axes = tuple(axis + 1 for axis in range(3) if flips >> axis & 1)
            if np.array_equal(np.flip(swapped, axes), one):
                return True
    return False
