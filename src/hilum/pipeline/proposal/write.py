"""A proposal as YAML text in which every choice has its reason beside it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from hilum.yaml_text import scalar

WIDTH = 120
"""Columns of the file."""
PLAIN = re.compile(r"[A-Za-z_./][\w./+-]*(?: [\w./+-]+)*", re.ASCII)
"""Text that stands without quotes, unless a reader of YAML 1.1 or 1.2 takes it for something else."""
YAML_1_1 = re.compile(r"y|n|yes|no|on|off|true|false|null", re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """A key with its value, and why it is so; a value of entries is a section, one of steps a list."""

    key: str
    value: Any
    why: str = ""


@dataclass(frozen=True)
class Step:
    """One item of a list, and why it is there."""

    value: Any
    why: str = ""


def yaml_text(heading: str, entries: Sequence[Entry]) -> str:
    """The whole file: the heading as a comment, then the entries, sections apart."""
    blocks = ["\n".join(_comment(heading, ""))]
    previous: Entry | None = None
    for entry in entries:
        lines = list(_lines(entry, ""))
        together = previous is not None and len(lines) == 1 and not isinstance(previous.value, tuple)
        blocks.append(("\n" if together else "\n\n") + "\n".join(lines))
        previous = entry
    return "".join(blocks) + "\n"


def flow(value: Any) -> str:
    """Plain data on one line of YAML that reads back as the same data, in YAML 1.1 and 1.2."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(str(key))}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        mantissa, e, exponent = repr(value).partition("e")
        return f"{mantissa}.0e{exponent}" if e and "." not in mantissa else repr(value)  # YAML 1.1 wants the point
    text = str(value)
    if PLAIN.fullmatch(text) and isinstance(scalar(text), str) and not YAML_1_1.fullmatch(text):
        return text
    return str(yaml.safe_dump(text, default_style='"', allow_unicode=True, width=float("inf"))).strip()


def _lines(entry: Entry, indent: str) -> Iterator[str]:
    value = entry.value
    if isinstance(value, tuple) and all(isinstance(item, Entry) for item in value):
        yield from _comment(entry.why, indent)
        yield f"{indent}{flow(entry.key)}:"
        for item in value:
            yield from _lines(item, indent + "  ")
    elif isinstance(value, tuple):
        yield from _comment(entry.why, indent)
        yield f"{indent}{flow(entry.key)}:"
        for step in value:
            yield from _with_reason(f"{indent}  - {flow(step.value)}", step.why, indent + "  ")
    elif isinstance(value, Mapping) and len(f"{indent}{flow(entry.key)}: {flow(value)}") > WIDTH:
        yield from _lines(
            Entry(entry.key, tuple(Entry(str(key), item) for key, item in value.items()), entry.why), indent
        )
    else:
        yield from _with_reason(f"{indent}{flow(entry.key)}: {flow(value)}", entry.why, indent)


def _with_reason(line: str, why: str, indent: str) -> Iterator[str]:
    """A line with its reason behind it, or above it where it is long."""
    beside = f"{line}   # {_printable(why)}"
    if why and "\n" not in why and len(beside) <= WIDTH:
        yield beside
        return
    yield from _comment(why, indent)
    yield line


def _comment(text: str, indent: str) -> Iterator[str]:
    """The text as comment lines; a line that begins with blanks is set as it is, others are wrapped."""
    for paragraph in text.split("\n") if text else ():
        clean = _printable(paragraph)
        if clean.startswith(" "):
            yield f"{indent}#{clean}"
        else:
            wrapped = textwrap.wrap(clean, WIDTH - len(indent) - 2, break_long_words=False, break_on_hyphens=False)
            yield from (f"{indent}# {line}" for line in wrapped)


def _printable(text: str) -> str:
    """The text with a blank for everything that a comment must not hold, such as the line breaks of a name."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
