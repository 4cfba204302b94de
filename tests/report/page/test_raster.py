"""A chart as PNG has the colours that the page gives it, its size, and its words."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from hilum.report.figures import PALETTE
from hilum.report.page.chart import HEIGHT, WIDTH, Frame, alone, asset, box, text
from hilum.report.page.markup import element
from hilum.report.page.palette import LIGHT
from hilum.report.page.raster import WIDTHS, ZOOM, as_png


def drawn(*marks: object) -> np.ndarray:
    frame = Frame.of((0, 1), (0, 1), titles=("", ""))
    svg = alone(frame.drawn("a chart", *marks))
    assert "var(" not in svg
    return np.asarray(Image.open(io.BytesIO(as_png(svg))).convert("RGB"))


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))


def test_a_bar_has_its_colour_and_stands_in_its_place() -> None:
    pixels = drawn(box((100, 100), (40, 30), "f3"))
    assert pixels.shape == (HEIGHT * ZOOM, WIDTH * ZOOM, 3)
    inside = pixels[101 * ZOOM : 129 * ZOOM, 101 * ZOOM : 139 * ZOOM].reshape(-1, 3)
    assert (inside == rgb(PALETTE[2])).all()
    assert tuple(pixels[1, -1]) == rgb(LIGHT["paper"])


def test_words_are_drawn_whatever_fonts_the_machine_has() -> None:
    plain, worded = drawn(), drawn(text((150, 120), "WWWW", "strong"))
    changed = (plain != worded).any(axis=-1)
    assert changed[100 * ZOOM : 125 * ZOOM, 145 * ZOOM : 220 * ZOOM].sum() > 500
    assert changed.sum() == changed[100 * ZOOM : 125 * ZOOM, 145 * ZOOM : 220 * ZOOM].sum()


def test_an_outline_is_as_wide_as_in_a_browser() -> None:
    """A line of 1.5 units along a path that is enlarged eightfold."""
    path = element("path", d="M2 0L2 10", transform="translate(0.00 0.00) scale(8.0000 8.0000)", class_="truth")
    svg = element("svg", path, xmlns="http://www.w3.org/2000/svg", viewBox="0 0 80 80", class_="plane")
    pixels = np.asarray(Image.open(io.BytesIO(as_png(alone(svg)))).convert("RGB"))
    assert np.flatnonzero((pixels[120] == 255).all(axis=-1)).tolist() == [46, 47, 48, 49]  # 45.75 to 50.25


def test_the_widths_of_outlines_are_those_of_the_page() -> None:
    rules = asset("chart.css")
    assert f".plane path {{ stroke-width: {WIDTHS['truth']};" in rules
    assert f".plane .prediction {{ fill-opacity: .38; stroke-width: {WIDTHS['prediction']};" in rules
