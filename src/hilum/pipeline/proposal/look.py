"""Looks at the files of a cohort: all headers as far as time allows, the voxels of some images, and the masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from hilum.case import Case, Cohort, ImageRef
from hilum.data.splits.base import Split
from hilum.errors import DataError
from hilum.formats.reading import read_header, read_image, read_labels
from hilum.hardware import usable_cores
from hilum.pipeline.proposal.survey import Content, Head, Masks, Sizes, Survey, TaskKind
from hilum.prepare.canonical import CanonicalConfig
from hilum.volume import Grid

Say = Callable[[str], None]
Item = TypeVar("Item")

HEADERS_S, MASKS_S, VOXELS_S = 20.0, 30.0, 10.0
"""How long headers, masks and voxels are looked at; what is left over is said, and `hilum check` reads it all."""
IMAGES = 24
"""Training images whose voxels are read, spread over all."""
MAX_VALUES = 64
"""A file with more values than this is no mask."""
MOST = 0.5
"""Share of the voxels at the faces of an image that a painted background has at least."""
TELL_S = 3.0
"""After so long a line says how far it is, and again each time this has passed."""


def heads_of(cohort: Cohort, *, say: Say) -> tuple[list[Head], list[str]]:
    """What headers say, as far as time allows, and which images cannot be used.

    Raises DataError where no image can be read at all.
    """
    heads, faults = _gathered(cohort.cases, _head, seconds=HEADERS_S, what="headers", say=say)
    if not heads:
        raise DataError("none of the images can be read:\n" + "\n".join(faults[:5]))
    return heads, faults


def look(task: TaskKind, cohort: Cohort, split: Split, *, heads: Sequence[Head], title: str, say: Say) -> Survey:
    """What there is to know about the files whose headers were read."""
    readable = {head.case_id for head in heads}
    training = [case for case in split.part("train") if case.id in readable] or [
        case for case in cohort.cases if case.id in readable
    ]
    contents, broken = _gathered(spread(training, IMAGES), _content, seconds=VOXELS_S, what="images", say=say)
    masks, unusable = Masks(), list[str]()
    if task == "segmentation":
        masks, unusable = _look_at_masks(cohort, {case.id for case in training}, say=say)
    return Survey(title, task, cohort, split, tuple(heads), tuple(contents), masks, (*broken, *unusable))


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` of the items, evenly spread from the first to the last."""
    if len(items) <= count:
        return list(items)
    return [items[int(position)] for position in np.linspace(0, len(items) - 1, count).round()]


@dataclass(frozen=True)
class _Mask:
    case_id: str
    counts: dict[int, int]
    rounded: bool


Found = TypeVar("Found", Head, Content, _Mask)


def _gathered(
    cases: Sequence[Case], measure: Callable[[Case], Found], *, seconds: float, what: str, say: Say
) -> tuple[list[Found], list[str]]:
    """What was measured of as many cases as time allows, in their order, and what cannot be read.

    Where time runs out, the cases that were looked at are spread over all of them.
    """
    start = told = perf_counter()
    found: dict[int, Found] = {}
    faults: dict[int, str] = {}
    with ThreadPoolExecutor(max_workers=min(8, 2 * usable_cores())) as pool:
        for group in _batches(_scattered(len(cases)), 16):
            for position, outcome in zip(group, pool.map(lambda p: _tried(cases[p], measure), group), strict=True):
                if isinstance(outcome, str):
                    faults[position] = outcome
                else:
                    found[position] = outcome
            now = perf_counter()
            if now - told > TELL_S:
                say(f"{what}: {len(found) + len(faults)} of {len(cases)}")
                told = now
            if now - start > seconds:
                break
    return [found[position] for position in sorted(found)], [faults[position] for position in sorted(faults)]


def _tried(case: Case, measure: Callable[[Case], Found]) -> Found | str:
    try:
        return measure(case)
    except DataError as error:
        return f"case {case.id}: {error}"


def _scattered(count: int) -> list[int]:
    """All positions, each next one far from those before it: the bits of the counter in reverse."""
    bits = max(1, (count - 1).bit_length())
    return [p for p in (int(f"{n:0{bits}b}"[::-1], 2) for n in range(2**bits)) if p < count]


def _batches(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (items[first : first + size] for first in range(0, len(items), size))


def _head(case: Case) -> Head:
    header = read_header(case.files[0])
    if header.frames > 1:
        raise DataError(f"{case.files[0]} holds {header.frames} volumes (4-D), expected one")
    grid = turned(header.grid)
    return Head(case.id, grid.shape, grid.spacing, grid.unit, header)


def turned(grid: Grid) -> Grid:
    """The grid with its axes as the patient's where they mean something: of volumes in mm, not of single slices."""
    return grid if grid.unit == "pixel" or grid.shape[2] == 1 else grid.canonical()


def _content(case: Case) -> Content:
    image = read_image(case.files)
    if image.grid.shape[2] > 1:
        image, _ = CanonicalConfig().apply(image, None)
    values = image.tensor.numpy()
    filled = (values != 0).any(0)
    return Content(
        case.id,
        low=float(values.min()),
        high=float(values.max()),
        whole_numbers=bool((values == np.rint(values)).all()),
        zeros=float(1 - filled.mean()),
        zero_border=not any(
            filled.take(end, axis).any() for axis in range(3) for end in (0, -1) if filled.shape[axis] > 1
        ),
        box=_box(filled),
        border=_border(values[0]),
    )


def _border(values: npt.NDArray[np.floating]) -> float | None:
    """The value other than 0 that a corner has and most of the faces (I, J, K) too, as a painted background does."""
    corner = float(values[0, 0, 0])
    axes = [axis for axis in range(3) if values.shape[axis] > 1]
    faces = [values.take(end, axis).ravel() for axis in axes for end in (0, -1)]
    return corner if corner != 0 and faces and float((np.concatenate(faces) == corner).mean()) > MOST else None


def _box(filled: npt.NDArray[np.bool_]) -> Sizes:
    """The size of the smallest box around all that is filled; the whole where nothing is."""
    sizes = []
    for axis in range(3):
        across = tuple(other for other in range(3) if other != axis)
        there = np.flatnonzero(filled.any(axis=across))
        sizes.append(int(there[-1] - there[0] + 1) if len(there) else filled.shape[axis])
    return sizes[0], sizes[1], sizes[2]


def _look_at_masks(cohort: Cohort, training: set[str], *, say: Say) -> tuple[Masks, list[str]]:
    """The label values of all masks, as far as time allows, and those that are no masks."""
    masked = [case for case in cohort.cases if isinstance(case.label, ImageRef)]
    found, faults = _gathered(masked, _mask, seconds=MASKS_S, what="masks", say=say)
    voxels: Counter[int] = Counter()
    for mask in found:
        if mask.case_id in training or not training:
            voxels.update(mask.counts)
    total = sum(voxels.values())
    masks = Masks(
        looked=len(found) + len(faults),
        total=len(masked),
        cases=dict(sorted(Counter(value for mask in found for value in mask.counts).items())),
        shares={value: count / total for value, count in sorted(voxels.items())},
        rounded=sum(mask.rounded for mask in found),
    )
    return masks, faults


def _mask(case: Case) -> _Mask:
    if not isinstance(case.label, ImageRef):
        raise DataError("has no mask")
    volume, changed = read_labels(case.label)
    values, counts = np.unique(volume.tensor.numpy(), return_counts=True)
    if len(values) > MAX_VALUES:
        raise DataError(f"{case.label}: holds {len(values)} different values, which is an image rather than a mask")
    return _Mask(case.id, dict(zip(values.tolist(), counts.tolist(), strict=True)), changed > 0)
