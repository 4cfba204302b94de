"""Cases whose channels are files of their own, told by the number at the end of their names, as nnU-Net has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from hilum.case import ImageRef
from hilum.errors import DataError

NUMBERED = re.compile(r"(.+)_(\d{4})")
"""The name of a case and the number of a channel: CASE_0000."""

Found = tuple[Path, ImageRef]
"""An image with the path that it is named after."""


def endings(channels: Sequence[str]) -> str:
    """How files have to end, in words: _0000 (t1), _0001 (t2)."""
    return ", ".join(f"_{number:04d} ({name})" for number, name in enumerate(channels))


def by_case(
    found: Sequence[Found], channels: Sequence[str], *, name_of: Callable[[Path], str]
) -> list[tuple[Path, tuple[ImageRef | None, ...]]]:
    """The images of each case in the order of the channels, None for one that is missing, and a path to name it after.

    Raises DataError where a name does not say which channel it is, and where two say the same.
    """
    cases: dict[Path, dict[int, ImageRef]] = {}
    named: dict[Path, Path] = {}
    odd: list[Path] = []
    for path, ref in found:
        name = name_of(path)
        match = NUMBERED.fullmatch(name)
        if not match or int(match[2]) >= len(channels):
            odd.append(path)
            continue
        case = path.with_name(match[1])
        named.setdefault(case, path.with_name(match[1] + path.name[len(name) :]))
        own = cases.setdefault(case, {})
        if int(match[2]) in own:
            raise DataError(f"{path} and {own[int(match[2])]} are the same channel of one case: remove one of them")
        own[int(match[2])] = ref
    if odd:
        raise DataError(
            f"{len(odd)} of {len(found)} images do not end in {endings(channels)}, such as {odd[0]}: this network "
            f"takes {len(channels)} images a case, rename the files or list the cases in a manifest CSV"
        )
    return [(named[case], tuple(own.get(number) for number in range(len(channels)))) for case, own in cases.items()]
