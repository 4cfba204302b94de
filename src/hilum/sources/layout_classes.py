"""The classes that texts stand for: their names, their order, and the values that a task section gives them."""

from __future__ import annotations

import re
from collections.abc import Iterable

HEALTHY = re.compile(r"^(0|no|none|normal|healthy|controls?|negative|benign|no[_ ]?finding|hc|cn)$", re.IGNORECASE)
"""Texts of the class that comes first, so that the last one is what is looked for."""


def classes_of(texts: Iterable[str]) -> dict[str, int | str]:
    """Names and values of classes: texts stand for themselves, whole numbers get a name."""
    ordered = sorted({*texts}, key=lambda text: (not HEALTHY.match(text), _number(text), text))
    return {f"class_{text}" if is_number(text) else text: int(text) if is_number(text) else text for text in ordered}


def is_number(text: str) -> bool:
    """Whether a text is a whole number that is written back as it was."""
    return text.isascii() and text.isdecimal() and str(int(text)) == text


def _number(text: str) -> int:
    return int(text) if is_number(text) else -1
