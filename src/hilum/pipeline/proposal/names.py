"""Names of classes, of the values of masks and of the run, and the order of classes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hilum.case import natural_order

NEGATIVE = re.compile(
    r"(no|non|not|without|absent)\b.*|none|normal|negative|neg|healthy|control|controls|benign|hc|false|0",
    re.IGNORECASE,
)
"""Names of the class in which nothing was found."""


GENERIC = re.compile(
    r"(images?|labels?|masks?|data|dataset|data_?sets?|train|training|raw|cases|table|metadata|manifest|participants|"
    r"imagestr|labelstr)",
    re.IGNORECASE,
)
"""Names of folders and files that say nothing about what they hold: the folder around them does."""


def class_map(texts: Iterable[str]) -> dict[str, int | str]:
    """The classes of a classification by what stands for them, the one without a finding first."""
    found = sorted(set(texts), key=natural_order)
    if all(re.fullmatch(r"0|[1-9][0-9]*", text) for text in found):
        return {f"class_{text}": int(text) for text in found}
    ordered = sorted(found, key=lambda text: NEGATIVE.fullmatch(re.sub(r"[_\W]+", " ", text).strip()) is None)
    return {text: text for text in ordered}


def finding_last(classes: Mapping[str, Any]) -> dict[str, Any]:
    """Two classes with the one in which nothing was found first; any others as they are."""
    first, *others = classes
    exchanged = len(others) == 1 and NEGATIVE.fullmatch(others[0]) and not NEGATIVE.fullmatch(first)
    return {name: classes[name] for name in (others[0], first)} if exchanged else dict(classes)


def structure_map(values: Sequence[int]) -> dict[str, int]:
    """Names of label values that nobody named, background first."""
    others = [value for value in values if value != 0]
    if len(others) == 1:
        return {"background": 0, "structure": others[0]}
    return {"background": 0, **{f"label_{value}": value for value in others}}


def run_name(path: Path) -> str:
    """A name for the run from that of the data, or of the folder around it where its own says nothing."""
    path = path.resolve() if path.is_dir() else path.absolute()
    stem = path.name if path.is_dir() else path.name.split(".")[0]
    if GENERIC.fullmatch(stem) and path.parent.name:
        return run_name(path.parent)
    return clean_name(stem)


def clean_name(text: str) -> str:
    """The text with a dash for everything that a folder should not be called."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._") or "data"
