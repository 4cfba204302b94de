"""What every page has: the head that forbids loading anything, the navigation, the sections, and the last line."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from hilum.report.page.chart import Drawing, alone, asset, rules_of_charts
from hilum.report.page.markup import element, folded
from hilum.report.page.palette import variables
from hilum.report.page.scored import Section

UNFOLDED = 4
"""Charts of a kind that are seen at once; more are folded away."""


def whole_page(name: str, title: str, header: Markup, sections: Sequence[Section], *, written: str) -> str:
    """A page as one HTML file that loads nothing; `written` says by whom, when and from what, for the last line."""
    script = asset("page.js")
    style = variables() + rules_of_charts() + asset("page.css")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name_="color-scheme", content="light dark"),
        element("title", title),
        element("link", rel="icon", href="data:,"),
        element("style", Markup(style)),
    )
    links = [element("a", section.title, href=f"#{section.anchor}") for section in sections]
    toggle = element("button", "Dark mode", type="button", id="theme", hidden=True)
    home = element("a", name, href="#report", class_="home")
    body = element(
        "body",
        element("a", "Skip to the report", href="#report", class_="skip"),
        element("nav", home, *links, toggle, aria_label="Sections"),
        element("main", header, *map(_section, sections), _footer(written), id="report"),
        element("script", Markup(script)),
    )
    return str(Markup("<!DOCTYPE html>\n") + element("html", head, body, lang="en") + "\n")


def charts_of(sections: Sequence[Section]) -> Iterator[tuple[str, str]]:
    """Name, without a suffix, and SVG of a file for each chart of a page."""
    for section in sections:
        for block in section.blocks:
            if not isinstance(block, Markup):
                yield from ((drawing.name, alone(drawing.svg)) for drawing in block)


def _section(section: Section) -> Markup:
    heading = element("h2", section.title, id=f"{section.anchor}-title")
    blocks = [block if isinstance(block, Markup) else _charts(block) for block in section.blocks]
    return element("section", heading, *blocks, id=section.anchor, aria_labelledby=f"{section.anchor}-title")


def _charts(drawings: Sequence[Drawing]) -> Markup:
    """Charts side by side, the first ones at once and the others folded."""
    first, more = drawings[:UNFOLDED], drawings[UNFOLDED:]
    shown = element("div", *map(_figure, first), class_="charts")
    if not more:
        return shown
    return shown + folded(f"{len(more)} more", element("div", *map(_figure, more), class_="charts"))


def _figure(drawing: Drawing) -> Markup:
    return element(
        "figure", element("h3", drawing.title), drawing.svg, element("figcaption", drawing.caption), id=drawing.name
    )


def _footer(written: str) -> Markup:
    words = (
        f"Written by {written}. The page holds all that it "
        "shows: opening it loads nothing. For research; hilum is not a medical device."
    )
    return element("footer", element("p", words))


def _policy(script: str) -> str:
    """What a browser may do with the page: draw its own pictures and run its own script, nothing else."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
