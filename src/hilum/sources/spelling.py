"""One id under several spellings: differences of case, zero padding, blanks and separators that people do not mean."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hilum.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Hashable

SEPARATORS = re.compile(r"""[\s_,:;/\\()\[\]'\u2019"]|\.(?!\d)|(?<!\d)\.|(?<=.)[-\u2010-\u2015](?=.)""")
"""What people leave out or exchange. Not the point of 1.5, nor a dash at either end (P-); any other sign counts."""

PIECES = re.compile(r"\d+|\D+")
"""What a word of an id is made of: numbers, and what stands between them."""

WHOLE = re.compile(r"(\d+)\.0+")
"""A number that a spreadsheet made a decimal one: 7.0 for 7."""


def similar_ids(ids: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of two or more different ids that a person would take for one, each sorted; the groups sorted too.

    Equal but for upper and lower case, zeros before the first number of a word (hip_1, hip_001), blanks and separators
    (hip 1, Hip-01), forms of one letter in Unicode, or decimals of a whole number (7, 7.0). Numbers stay apart: 1-11 is
    not 11-1. Words of equal length are the same by case alone, as those of pseudonyms are: a00b1c is not a0b01c.
    """
    groups: dict[Hashable, set[str]] = defaultdict(set)
    for one in ids:
        groups[spelling(one)].add(one)
    return sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)


def spelling_findings(ids: Iterable[str], whose: str) -> tuple[Finding, ...]:
    """A warning for each group of similar ids; `whose` is "case" or "patient"."""
    fix = {
        "patient": "a split keeps them together: if it is one person, give all of the person's scans one id",
        "case": "if it is one scan, take it once",
    }[whose]
    return tuple(
        Finding("warning", f"similar {whose} ids", received=", ".join(f"'{one}'" for one in group), fix=fix)
        for group in similar_ids(ids)
    )


@functools.lru_cache(maxsize=2**17)
def spelling(text: str) -> Hashable:
    """What all spellings of an id share: its words without case, joined, and its numbers.

    Zeros before a number are left out once in each word (what separators part).
    """
    plain = unicodedata.normalize("NFKC", text).casefold().strip()
    whole = WHOLE.fullmatch(plain)
    key: list[str] = []
    for word in SEPARATORS.split(whole[1] if whole else plain):
        padded = True
        for piece in PIECES.findall(word):
            if piece.isdecimal():
                digits = "".join(str(int(digit)) for digit in piece)  # those of any script
                key.append((digits.lstrip("0") or "0") if padded else digits)
                padded = False
            elif key and not key[-1].isdecimal():
                key[-1] += piece
            else:
                key.append(piece)
    return tuple(key) or plain
