"""Elements of HTML and SVG, escaped by construction: text becomes markup in `element` only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

EMPTY = Markup("")
VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})
"""Elements of HTML that have no end tag."""


def element(name: str, *children: Any, **attributes: Any) -> Markup:
    """`<name key="value">children</name>`, where everything that is not Markup yet is escaped.

    None and False leave an attribute out, True gives it without a value. `class_` is written as class, `stroke_width`
    as stroke-width.
    """
    written = EMPTY.join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), "" if value is True else value)
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    start = Markup("<") + name + written + Markup(">")
    return start if name in VOID else start + joined(children) + Markup("</") + name + Markup(">")


def joined(children: Sequence[Any]) -> Markup:
    """Children one after the other, escaped where they are text."""
    return EMPTY.join(escape(child) for child in children)


def number(value: float | None, digits: int, *, undefined: str = "undefined") -> Markup:
    """A value rounded for reading, with every digit in the markup: `<data value="0.8521">0.852</data>`."""
    if value is None or not math.isfinite(value):
        return element("span", undefined, class_="undefined")
    return element("data", fixed(value, digits), value=repr(value))


def fixed(value: float, digits: int) -> str:
    """A number with so many decimals and a true minus sign; thin spaces part thousands."""
    text = f"{value:,.{digits}f}".replace(",", "\u202f")
    return text.replace("-", "\u2212") if float(f"{value:.{digits}f}") else text.replace("-", "")


def counted(value: int) -> Markup:
    """A count, with every digit in the markup."""
    return element("data", fixed(value, 0), value=str(value))


def score(entry: Mapping[str, Any], digits: int) -> Markup:
    """A value above its interval; a score that is undefined says why."""
    value, low, high = (entry.get(key) for key in ("value", "low", "high"))
    shown = number(value, digits, undefined=str(entry.get("note", "undefined")))
    if value is None or low is None or high is None:
        return shown
    return element("strong", shown) + element("span", *interval(low, high, digits), class_="interval")


def interval(low: float, high: float, digits: int) -> tuple[Any, ...]:
    """The two ends of an interval: 0.837 to 0.863."""
    return number(low, digits), " to ", number(high, digits)


def table(caption: str, head: Sequence[Any], rows: Sequence[Sequence[Any]], *, text_columns: int = 1) -> Markup:
    """A table that scrolls by itself where the page is narrow; the first cell of each row is its heading.

    All columns but the first `text_columns` hold numbers and are flush right, so that decimals stand below each other.
    """
    kinds = ["text" if column < text_columns else "num" for column in range(len(head))]
    titles = [element("th", title, scope="col", class_=kind) for title, kind in zip(head, kinds, strict=True)]
    lines = [
        element(
            "tr",
            element("th", row[0], scope="row", class_=kinds[0]),
            *(element("td", cell, class_=kind) for cell, kind in zip(row[1:], kinds[1:], strict=True)),
        )
        for row in rows
    ]
    whole = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *titles)),
        element("tbody", *lines),
    )
    return element("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def facts(pairs: Sequence[tuple[Any, Any]]) -> Markup:
    """Names and what they stand for, side by side."""
    return element(
        "dl", *(element("div", element("dt", name), element("dd", value)) for name, value in pairs), class_="facts"
    )


def folded(title: Any, *children: Any) -> Markup:
    """What only some readers want to see, behind its title."""
    return element("details", element("summary", title), *children)


def paragraph(*children: Any, kind: str | None = None) -> Markup:
    """A paragraph of text and markup."""
    return element("p", *children, class_=kind)


def items(texts: Sequence[Any], *, kind: str | None = None) -> Markup:
    """A list of sentences."""
    return element("ul", *(element("li", text) for text in texts), class_=kind)


def code(text: object) -> Markup:
    """A name, a hash or a path as it stands in a file."""
    return element("code", text)


def hashed(text: object) -> Markup:
    """A hash that may be broken anywhere."""
    return element("code", text, class_="hash")


def bar(entry: Mapping[str, Any]) -> Markup:
    """A share and its interval on a line from 0 to 1; nothing where it is no share. For the eye only: hidden from
    screen readers, which read the numbers beside it.
    """
    value, low, high = (entry.get(key) for key in ("value", "low", "high"))
    if value is None or low is None or high is None or not 0 <= low <= value <= high <= 1:
        return EMPTY
    width = max(round(100 * (high - low), 2), 0.6)
    inner = [
        element("rect", x=0, y=6, width=100, height=2, class_="track"),
        element("rect", x=round(100 * low, 2), y=3, width=width, height=8, rx=1, class_="range"),
        element("rect", x=round(100 * value - 0.7, 2), y=1, width=1.4, height=12, rx=0.7, class_="at"),
    ]
    return element("svg", *inner, viewBox="-1 0 102 14", class_="bar", aria_hidden="true")
