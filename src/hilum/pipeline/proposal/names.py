"""Names of classes, of the values of masks and of the run, and the order of classes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

NEGATIVE = re.compile(
    r"(no|non|not|without|absent)\b.*|none|normal|negative|neg|healthy|control|controls|benign|hc|false|0",
    re.IGNORECASE,
)
"""Names of the class in which nothing was found."""


def class_map(texts: Iterable[str]) -> dict[str, int | str]:
    """The classes of a classification by what stands for them, the one without a finding first."""
    found = sorted(set(texts), key=_natural)
    if all(re.fullmatch(r"0|[1-9][0-9]*", text) for text in found):
        return {f"class_{text}": int(text) for text in found}
    ordered = sorted(found, key=lambda text: NEGATIVE.fullmatch(re.sub(r"[_\W]+", " ", text).strip()) is None)
    return {text: text for text in ordered}


def structure_map(values: Sequence[int]) -> dict[str, int]:
    """Names of label values that nobody named, background first."""
    others = [value for value in values if value != 0]
    if len(others) == 1:
        return {"background": 0, "structure": others[0]}
    return {"background": 0, **{f"label_{value}": value for value in others}}


def run_name(path: Path) -> str:
    """A name for the run from that of the data."""
    stem = path.resolve().name if path.is_dir() else path.name.split(".")[0]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._") or "data"


def _natural(text: str) -> tuple[list[tuple[int, str]], str]:
    pieces = re.findall(r"[0-9]+|[^0-9]+", text)
    return [(int(piece), "") if piece[0].isdecimal() else (-1, piece) for piece in pieces], text
