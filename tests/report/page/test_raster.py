"""A chart as PNG has the colours that the page gives it, its size, and its words."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from hilum.report.figures import PALETTE
from hilum.report.page.chart import HEIGHT, WIDTH, Frame, alone, box, text
from hilum.report.page.palette import LIGHT
from hilum.report.page.raster import ZOOM, as_png


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
