"""The label values of masks that nothing describes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from hilum.errors import DataError
from hilum.formats.reading import read_mask

if TYPE_CHECKING:
    from hilum.case import ImageRef

SECONDS = 10.0
"""How long masks are looked at."""

MOST_VALUES = 64
"""More label values than this are no classes: structures counted one by one, or intensities."""


@dataclass(frozen=True)
class Seen:
    """Names for the label values that were met, and what remains open."""

    classes: dict[str, int] | None
    doubts: tuple[str, ...] = ()


def look_at_masks(masks: Sequence[ImageRef]) -> Seen:
    """Classes for all values in the masks, as many masks as can be read in a few seconds, spread over all."""
    values: set[int] = set()
    looked, broken, end = 0, 0, perf_counter() + SECONDS
    for mask in _spread(masks):
        if perf_counter() > end:
            break
        looked += 1
        try:
            values |= {int(value) for value in read_mask(mask).tensor.unique()}
        except DataError:
            broken += 1
    doubts = []
    if looked < len(masks):
        doubts.append(f"other label values: {looked} of {len(masks)} masks were looked at")
    if broken:
        doubts.append(f"{broken} masks cannot be read as label values")
    if len(values) > MOST_VALUES:
        return Seen(None, (*doubts, f"the masks hold {len(values)} different values: are these classes?"))
    return Seen(_named(sorted(values)) if len(values) > 1 else None, tuple(doubts))


def is_mask(ref: ImageRef) -> bool:
    """Whether an image holds few whole numbers, 0 among them, as a mask does."""
    try:
        values = read_mask(ref).tensor.unique()
    except DataError:
        return False
    return 2 <= len(values) <= MOST_VALUES and bool((values == 0).any()) and bool((values >= 0).all())


def _spread(masks: Sequence[ImageRef]) -> list[ImageRef]:
    """All of them, every seventh first, so that a look cut short has seen some of each kind."""
    return [mask for start in range(7) for mask in masks[start::7]]


def _named(values: Sequence[int]) -> dict[str, int]:
    background = 0 if 0 in values else values[0]
    others = [value for value in values if value != background]
    names = ["foreground"] if len(others) == 1 else [f"label_{value}" for value in others]
    return {"background": background, **dict(zip(names, others, strict=True))}
