"""What a look at a data set found: records that every choice of a proposal rests on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from hilum.case import Cohort
from hilum.data.splits.base import Split
from hilum.formats.base import Header
from hilum.volume import Unit

TaskKind = Literal["classification", "segmentation"]
Triple = tuple[float, float, float]
Sizes = tuple[int, int, int]


@dataclass(frozen=True)
class Head:
    """What the header of a case's first image says; a volume in mm is turned as by `canonical`."""

    case_id: str
    shape: Sizes
    spacing: Triple
    unit: Unit
    header: Header


@dataclass(frozen=True)
class Content:
    """What the voxels of a case are like; `box` is the size of what is not exactly 0 in all channels.

    `border` is the one value other than 0 that most of the faces of the first channel have, None without one.
    """

    case_id: str
    low: float
    high: float
    whole_numbers: bool
    zeros: float
    zero_border: bool
    box: Sizes
    border: float | None = None


@dataclass(frozen=True)
class Masks:
    """Label values: how many of the looked-at masks show each, and its share of the voxels of training masks."""

    looked: int = 0
    total: int = 0
    cases: Mapping[int, int] = field(default_factory=dict)
    shares: Mapping[int, float] = field(default_factory=dict)
    rounded: int = 0

    @property
    def complete(self) -> bool:
        """Whether every mask was looked at."""
        return self.looked == self.total


@dataclass(frozen=True)
class Survey:
    """A cohort called `title` and its split, with what was measured. Settings rest on the training part alone."""

    title: str
    task: TaskKind
    cohort: Cohort
    split: Split
    heads: tuple[Head, ...]
    contents: tuple[Content, ...]
    masks: Masks
    faults: tuple[str, ...] = ()

    @cached_property
    def training(self) -> tuple[Head, ...]:
        """The headers of the training part; of all parts where none of it could be read."""
        own = {case.id for case in self.split.part("train")}
        return tuple(head for head in self.heads if head.case_id in own) or self.heads

    @property
    def unit(self) -> Unit:
        """The unit of lengths: pixels as soon as one image has no voxel size."""
        return "mm" if all(head.unit == "mm" for head in self.training) else "pixel"

    @property
    def flat(self) -> bool:
        """Whether every image has one slice."""
        return all(head.shape[2] == 1 for head in self.training)

    @property
    def spacing(self) -> Triple:
        """The median spacing along each axis."""
        return _triple(np.median(self.spacings, axis=0))

    @cached_property
    def spacings(self) -> npt.NDArray[np.float64]:
        """The spacing (n, 3) of each training image."""
        return np.array([head.spacing for head in self.training])

    @cached_property
    def shapes(self) -> npt.NDArray[np.int64]:
        """The shape (n, 3) of each training image."""
        return np.array([head.shape for head in self.training])

    @property
    def zero_background(self) -> bool:
        """Whether most volumes lie in a wide border of exact zeros, which can be cut away."""
        if self.unit == "pixel" or self.flat:
            return False
        wide = [each.zero_border and each.zeros > WIDE_BORDER for each in self.contents]
        return bool(wide) and sum(wide) > len(wide) / 2

    @property
    def low(self) -> float:
        """The lowest value met."""
        return min((each.low for each in self.contents), default=0.0)

    @property
    def high(self) -> float:
        """The highest value met."""
        return max((each.high for each in self.contents), default=1.0)

    @property
    def modalities(self) -> Counter[str]:
        """What the headers call the kind of image, where they do."""
        named = (head.header.facts.get("modality") for head in self.training)
        return Counter(name for name in named if name)

    @property
    def patients(self) -> int:
        """How many patients there are."""
        return len({case.patient for case in self.cohort.cases})

    def prepared_bytes(self, shape: tuple[int, ...]) -> int:
        """Bytes of all images of the parts train and val, prepared to a typical shape."""
        images = len(self.split.part("train")) + len(self.split.part("val"))
        return 4 * images * len(self.cohort.channels) * math.prod(shape)

    def typical(self, spacing: Triple | None = None, *, box: bool = False) -> Sizes:
        """The median shape of training images, in voxels of `spacing`, of what is not empty where `box` says so."""
        sizes = np.median(self.shapes, axis=0)
        if box and self.contents:
            sizes = np.minimum(sizes, np.median([each.box for each in self.contents], axis=0))
        scale = np.ones(3) if spacing is None else np.divide(self.spacing, spacing)
        i, j, k = (max(1, math.ceil(size)) for size in sizes * scale)
        return i, j, k


WIDE_BORDER = 0.3
"""Share of exact zeros above which a border of zeros is worth cutting away."""


def _triple(values: npt.NDArray[np.floating]) -> Triple:
    i, j, k = (float(f"{value:.4g}") for value in values)
    return i, j, k
