"""Which components of two structures are the same lesion: pairs that overlap, and three rules to match them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from hilum.geometry.components import components
from hilum.geometry.surfaces import bounding_box

if TYPE_CHECKING:
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

Matching = Literal["overlap", "iou", "centre"]


@dataclass(frozen=True)
class Lesions:
    """The components of two structures (counted from 0), and every pair of them that could be the same lesion.

    `first` and `second` (M,) are the two components of each pair, `shared` (M,) the voxels that both have, `inside`
    (M,) whether the centre of mass of the second, to the nearest voxel, lies in the first.
    """

    first_sizes: Integers
    second_sizes: Integers
    first: Integers
    second: Integers
    shared: Integers
    inside: Mask

    @property
    def iou(self) -> Floats:
        """Intersection over union of each pair (M,)."""
        union = self.first_sizes[self.first] + self.second_sizes[self.second] - self.shared
        return self.shared / union

    def matches(self, matching: Matching, least_iou: float = 0.5) -> Integers:
        """The pairs that count as one lesion, as indices into the M pairs; no component is in two of them.

        overlap: at least one voxel shared; iou: an intersection over union above `least_iou`; centre: the centre of the
        second in the first. Pairs are taken greedily, by iou those of highest iou first, otherwise those that share
        most voxels, and of equals the one with the earlier components.
        """
        allowed = {"overlap": self.shared > 0, "iou": self.iou > least_iou, "centre": self.inside}[matching]
        merit = self.iou if matching == "iou" else self.shared
        taken: tuple[set[int], set[int]] = set(), set()
        chosen: list[int] = []
        for pair in np.lexsort((self.second, self.first, -merit)):
            one, two = int(self.first[pair]), int(self.second[pair])
            if allowed[pair] and one not in taken[0] and two not in taken[1]:
                chosen.append(int(pair))
                taken[0].add(one)
                taken[1].add(two)
        return np.array(sorted(chosen), dtype=np.int64)


def lesions(first: Mask, second: Mask) -> Lesions:
    """The components of both masks, and the pairs of them; neighbours share a face, an edge or a corner."""
    box = bounding_box(first | second)
    (ours, first_sizes), (theirs, second_sizes) = components(first[box]), components(second[box])
    both = (ours > 0) & (theirs > 0)
    width = len(second_sizes) + 1
    overlapping, shared = np.unique(ours[both].astype(np.int64) * width + theirs[both], return_counts=True)
    hit = _at_centres(ours, theirs, second_sizes)
    centred = np.array([one * width + two for two, one in enumerate(hit.tolist(), start=1) if one], dtype=np.int64)
    pairs = np.union1d(overlapping, centred)
    counts = np.zeros(len(pairs), dtype=np.int64)
    counts[np.searchsorted(pairs, overlapping)] = shared
    return Lesions(first_sizes, second_sizes, pairs // width - 1, pairs % width - 1, counts, np.isin(pairs, centred))


def _at_centres(ours: npt.NDArray[np.int32], theirs: npt.NDArray[np.int32], sizes: Integers) -> npt.NDArray[np.int32]:
    """What `ours` has at the centre of mass of each component of `theirs`, rounded half up to a voxel (len(sizes),)."""
    places = np.nonzero(theirs)
    number = theirs[places] - 1
    means = [np.bincount(number, weights=axis, minlength=len(sizes)) / sizes for axis in places]
    nearest = tuple(np.floor(mean + 0.5).astype(np.int64) for mean in means)
    found: npt.NDArray[np.int32] = ours[nearest]
    return found
