"""One patient's scans cut into neighbouring blocks: all that can be done where there is nobody else to score on."""

import math
from collections.abc import Sequence

from hilum.case import Case, natural_order
from hilum.data.splits.base import Part, Split
from hilum.errors import SplitError


def contiguous_blocks(cases: Sequence[Case], *, val: float, test: float) -> Split:
    """One patient's scans cut into neighbouring blocks, train first.

    They follow each other by `order` in the metadata where all have it, else by id (slice-2 before slice-10).
    Raises SplitError for an order that is no number.
    """
    ordered = in_order(cases)
    count_val, count_test = (max(1, round(len(cases) * share)) if share > 0 else 0 for share in (val, test))
    dropped = ""
    if len(cases) - count_val - count_test < 1:
        count_test, dropped = 0, " too few scans for a test part;"
        count_val = min(count_val, len(cases) - 1)
    count_train = len(cases) - count_val - count_test
    blocks: dict[Part, Sequence[Case]] = {
        "train": ordered[:count_train],
        "val": ordered[count_train : count_train + count_val],
        "test": ordered[count_train + count_val :],
    }
    return of_one_patient(blocks, dropped=dropped)


def of_one_patient(
    blocks: dict[Part, Sequence[Case]], *, fold: int | None = None, notes: Sequence[str] = (), dropped: str = ""
) -> Split:
    """The split of one patient's blocks, with the note that says what its scores are worth."""
    note = (
        f"one patient:{dropped} its scans are cut into contiguous blocks, "
        "and no score says anything about other patients"
    )
    parts: dict[Part, tuple[Case, ...]] = {part: tuple(found) for part, found in blocks.items()}
    return Split(parts, fold=fold, notes=(note, *notes), one_patient=True)


def cut_out(ordered: Sequence[Case], sizes: Sequence[int], number: int) -> tuple[list[Case], list[Case]]:
    """Block `number` of blocks of these sizes, and the rest: what follows it, then what is before it."""
    start = sum(sizes[:number])
    stop = start + sizes[number]
    return list(ordered[start:stop]), [*ordered[stop:], *ordered[:start]]


def in_order(cases: Sequence[Case]) -> list[Case]:
    """Scans as they follow each other. Raises SplitError for an `order` that is no number."""
    if all("order" in case.metadata for case in cases):
        return sorted(cases, key=_position)
    return sorted(cases, key=lambda case: natural_order(case.id))


def _position(case: Case) -> tuple[float, str]:
    text = case.metadata["order"]
    try:
        position = float(text)
    except ValueError:
        position = math.nan
    if not math.isfinite(position):
        raise SplitError(f"case {case.id}: received the order '{text}', expected a number")
    return position, case.id
