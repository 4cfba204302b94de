"""Single cases: the worst, the median and the best with their outlines, and a gallery of failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from hilum.evaluation.rows import PROBABILITY_PREFIX, Row
from hilum.random import generator
from hilum.report.page.markup import EMPTY, element, fixed, number, paragraph
from hilum.report.page.palette import hue
from hilum.report.page.planes import CaseView, data_uri, side_by_side, windowed
from hilum.report.page.scored import Scored, Section
from hilum.report.page.wording import with_unit

FAILURES = 6
"""Cases of the gallery, the worst one aside."""
SHOWN_CLASSES = 3


@dataclass(frozen=True)
class ImageView:
    """One classified image: grey (I, J) or in colour (I, J, 3), first axis down."""

    id: str
    image: npt.NDArray[np.float32]


@dataclass(frozen=True)
class CasePictures:
    """The pictures of single cases; where there are none, `note` says why."""

    views: Sequence[CaseView] = ()
    failures: Sequence[CaseView] = ()
    images: Mapping[str, Sequence[ImageView]] = field(default_factory=dict)
    """By group: most wrong, most uncertain, most right."""
    note: str = ""


def worst_first(scored: Scored) -> list[str]:
    """The case ids of a segmentation from the worst mean of the monitored score to the best.

    Cases without a score come first; among equals the seed decides.
    """
    values: dict[str, list[float]] = {}
    for row in scored.rows:
        value = row.get(scored.monitor)
        values.setdefault(str(row["case_id"]), []).append(float("nan") if value is None else float(value))
    better = (scored.metrics.get(scored.monitor) or {}).get("better")
    if better is None:
        return []
    sign = 1.0 if better == "higher" else -1.0
    means = {case: sign * float(np.mean(found)) for case, found in values.items()}
    drawn = dict(zip(sorted(means), generator(scored.seed, 0, 0, "report.cases").permutation(len(means)), strict=True))
    return sorted(means, key=lambda case: (-np.inf if np.isnan(means[case]) else means[case], drawn[case]))


def cases_section(scored: Scored, shown: CasePictures) -> Section | None:
    """The pictures of single cases, or why there are none; None where nothing was scored."""
    if not scored.rows:
        return None
    blocks: list[Markup] = []
    if shown.views:
        blocks += [_key(scored), *(_card(scored, view) for view in shown.views)]
    if shown.failures:
        blocks.append(element("h3", "Next worst", class_="sub"))
        blocks.append(element("div", *(_card(scored, view) for view in shown.failures), class_="gallery"))
    for title, images in shown.images.items():
        if images:
            blocks.append(element("h3", title.capitalize(), class_="sub"))
            blocks.append(element("div", *(_image(scored, image) for image in images), class_="images"))
    if shown.note:
        blocks.append(paragraph(shown.note, kind="lead"))
    return Section("cases", "Cases", blocks) if blocks else None


def _key(scored: Scored) -> Markup:
    """What the lines mean, and switches that hide them."""
    names = [
        element("li", element("span", class_=f"swatch c{hue(index)}"), name)
        for index, name in enumerate(scored.classes)
    ]
    switches = [
        element("label", element("input", type="checkbox", checked=True, data_hides=kind), " ", words)
        for kind, words in (("truth", "truth (white line)"), ("prediction", "prediction (coloured)"))
    ]
    return element(
        "div", element("ul", *names, class_="legend"), element("div", *switches, class_="switches"), class_="key"
    )


def _card(scored: Scored, view: CaseView) -> Markup:
    """One case: its planes, and its scores by structure."""
    rows = [row for row in scored.rows if row["case_id"] == view.id]
    head = element("h3", element("span", view.title, class_="rank"), element("span", view.id, class_="case-id"))
    remark = paragraph(view.remark, kind="remark") if view.remark else EMPTY
    return element(
        "article", head, side_by_side(view, list(scored.classes)), _values(scored, rows), remark, class_="case"
    )


def _values(scored: Scored, rows: Sequence[Row]) -> Markup:
    """The scores of one case: a row a structure."""
    columns = list(scored.metrics)[:3]
    head = [element("th", "structure", scope="col")]
    head += [element("th", with_unit(column, scored.metrics[column]), scope="col", class_="num") for column in columns]
    lines = []
    for row in rows:
        status = "" if row.get("status") == "found" else f" ({row.get('status')})"
        cells = [element("td", _cell(row, column, scored), class_="num") for column in columns]
        lines.append(element("tr", element("th", f"{row.get('class')}{status}", scope="row"), *cells))
    return element(
        "table", element("thead", element("tr", *head)), element("tbody", *lines), class_="small", aria_label="scores"
    )


def _cell(row: Row, column: str, scored: Scored) -> Markup:
    value = row.get(column)
    return number(None if value is None else float(value), scored.digits(column))


def _image(scored: Scored, view: ImageView) -> Markup:
    """A classified image with its true class and its most likely classes."""
    row: Mapping[str, Any] = next((row for row in scored.rows if row["case_id"] == view.id), {})
    shares = {name: float(row.get(f"{PROBABILITY_PREFIX}{name}") or 0) for name in scored.classes}
    likely = sorted(shares, key=lambda name: -shares[name])[:SHOWN_CLASSES]
    truth = str(row.get("truth"))
    if truth in shares and truth not in likely:
        likely[-1] = truth
    said = f"Case {view.id}: {truth}, called {row.get('predicted')}"
    bars = [
        element(
            "li",
            element("span", name, class_="class-name"),
            element("span", fixed(shares[name], 2), class_="share"),
            class_="true" if name == truth else None,
            style=f"--share:{100 * shares[name]:.1f}%",
        )
        for name in likely
    ]
    return element(
        "figure",
        element("img", src=data_uri(windowed(view.image, headroom=1.0)), alt=said, class_="image"),
        element("figcaption", element("span", view.id, class_="case-id"), f"truth: {truth}"),
        element("ul", *bars, class_="shares"),
        class_="image-case",
    )
