"""The page as one HTML file that loads nothing: its sections, its style, its few lines of script, and its figures."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from hilum.report.page.agreement import agreement, agreement_chart
from hilum.report.page.cases import CasePictures, cases_section
from hilum.report.page.chart import Drawing, alone, asset, rules_of_charts
from hilum.report.page.decisions import decisions
from hilum.report.page.learning import best_epoch, learning_curves
from hilum.report.page.markup import element, folded
from hilum.report.page.matrix import confusion_matrix
from hilum.report.page.opening import opening
from hilum.report.page.origin import origin_section, settings_section, split_section
from hilum.report.page.palette import variables
from hilum.report.page.planes import pictures_of
from hilum.report.page.ranking import precision_recall, roc
from hilum.report.page.reliability import reliability, reliability_bins
from hilum.report.page.scored import Scored, Section
from hilum.report.page.scores import outcomes, scores_section, subgroups_section
from hilum.report.page.strips import strip_plot

UNFOLDED = 4
"""Charts of a kind that are seen at once; more are folded away."""


def sections(scored: Scored, pictures: CasePictures) -> list[Section]:
    """All sections that the files have something for, in the order of the page."""
    found = [
        scores_section(scored),
        _charts(scored),
        cases_section(scored, pictures),
        subgroups_section(scored),
        _learning(scored),
        split_section(scored.files),
        origin_section(scored.files),
        settings_section(scored.files),
    ]
    return [section for section in found if section is not None]


def page(scored: Scored, found: Sequence[Section], *, written: str) -> str:
    """The whole page; `written` says by which version and when, for the last line."""
    script = asset("page.js")
    style = variables() + rules_of_charts() + asset("page.css")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name_="color-scheme", content="light dark"),
        element("title", f"{scored.files.name}: report of a hilum run"),
        element("link", rel="icon", href="data:,"),
        element("style", Markup(style)),
    )
    links = [element("a", section.title, href=f"#{section.anchor}") for section in found]
    toggle = element("button", "Dark mode", type="button", id="theme", hidden=True)
    home = element("a", scored.files.name, href="#report", class_="home")
    body = element(
        "body",
        element("a", "Skip to the report", href="#report", class_="skip"),
        element("nav", home, *links, toggle, aria_label="Sections"),
        element("main", opening(scored), *map(_section, found), _footer(written), id="report"),
        element("script", Markup(script)),
    )
    return str(Markup("<!DOCTYPE html>\n") + element("html", head, body, lang="en") + "\n")


def figures(found: Sequence[Section], pictures: CasePictures, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and content of a file for each chart of the page, and for each plane of the first cases.

    `names` are those of the structures.
    """
    for section in found:
        for block in section.blocks:
            if not isinstance(block, Markup):
                yield from ((f"{drawing.name}.svg", alone(drawing.svg)) for drawing in block)
    for view in pictures.views:
        yield from ((f"case_{view.title}_{name}.svg", alone(svg)) for name, svg in pictures_of(view, names))


def _charts(scored: Scored) -> Section | None:
    """What is drawn of the rows; tasks that ask several things of an image have their table only."""
    if scored.task == "classification":
        return _classification(scored)
    return _segmentation(scored) if scored.task == "segmentation" else None


def _classification(scored: Scored) -> Section | None:
    answers, confusion = scored.answers(), scored.summary.get("confusion")
    drawings: list[Drawing | None] = []
    if answers is not None:
        drawings = [roc(answers, scored.overall), precision_recall(answers, scored.overall)]
    drawings.append(confusion_matrix(confusion, list(scored.classes)) if confusion else None)
    told = scored.summary.get("reliability") or ({} if answers is None else reliability_bins(answers))
    shown = [drawing for drawing in (*drawings, *reliability(told)) if drawing is not None]
    blocks: list[Markup | Sequence[Drawing]] = [*decisions(scored), *([shown] if shown else [])]
    return Section("curves", "Thresholds and errors", blocks) if blocks else None


def _segmentation(scored: Scored) -> Section | None:
    strips = [
        strip_plot(scored.rows, scored.classes, column=column, facts=facts, seed=scored.seed)
        for column, facts in scored.metrics.items()
    ]
    volumes = [
        agreement_chart(found, name, number)
        for number, name in enumerate(scored.classes)
        if scored.rows and (found := agreement(scored.rows, name)) is not None
    ]
    blocks: list[Markup | Sequence[Drawing]] = [*outcomes(scored)]
    shown = [strip for strip in strips if strip is not None]
    if shown:
        blocks += [element("h3", "Every case", class_="sub"), shown]
    if volumes:
        blocks += [element("h3", "Volumes", class_="sub"), volumes]
    return Section("structures", "Structures, case by case", blocks) if blocks else None


def _learning(scored: Scored) -> Section | None:
    better = (scored.metrics.get(scored.monitor) or {}).get("better")
    log = scored.files.log
    drawings = learning_curves(log, best_epoch(log, scored.monitor, better))
    return Section("learning", "Learning curves", [drawings]) if drawings else None


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
        f"Written by {written} from the files of the run. The page holds all that it "
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
