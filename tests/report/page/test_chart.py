"""Scales, ticks and markup of charts: places by arithmetic, ticks that are round, text that stays text."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from hilum.report.figures import PALETTE
from hilum.report.page.chart import Frame, Scale, alone, dot, padded, short
from hilum.report.page.markup import element, fixed, number, table
from hilum.report.page.palette import DARK, DARK_PALETTE, LIGHT

EVIL = "\"'><script>alert(1)</script>&"


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("names", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("words", ["ink", "muted", "accent", "warn", "good"])
@pytest.mark.parametrize("ground", ["paper", "card", "wash"])
def test_words_can_be_read_on_every_ground(names: dict[str, str], words: str, ground: str) -> None:
    assert contrast(names[words], names[ground]) >= 4.5


@pytest.mark.parametrize(("names", "palette"), [(LIGHT, PALETTE), (DARK, DARK_PALETTE)], ids=["light", "dark"])
def test_curves_stand_out_from_the_paper(names: dict[str, str], palette: tuple[str, ...]) -> None:
    assert len(palette) == len(PALETTE)
    assert min(contrast(tint, names["card"]) for tint in palette) >= 2
    assert contrast(palette[0], names["on-cell"]) >= 4.5


def test_a_scale_is_a_straight_line_or_one_of_decades() -> None:
    assert Scale(0, 10, 100, 300)(2.5) == 150
    assert Scale(0, 10, 300, 100)(10) == 100
    assert Scale(1e-4, 1, 0, 400, log=True)(1e-2) == pytest.approx(200)


@given(
    low=st.floats(-1e3, 1e3),
    span=st.floats(1e-3, 1e6),
    whole=st.booleans(),
)
def test_ticks_are_round_and_within_the_ends(low: float, span: float, whole: bool) -> None:
    scale = Scale(low, low + span, 0, 100, whole=whole)
    ticks = scale.ticks
    assert len(ticks) <= 7
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in ticks)
    if len(ticks) > 1:
        gap = ticks[1] - ticks[0]
        rounded = gap / 10 ** math.floor(math.log10(gap * (1 + 1e-7)))
        assert whole or any(math.isclose(rounded, step, rel_tol=1e-6) for step in (1, 2, 2.5, 5))
        labels = [scale.label(tick) for tick in ticks]
        assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(
    ("scale", "labels"),
    [
        (Scale(0, 1, 0, 1), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (Scale(0.82, 0.93, 0, 1), ["0.825", "0.850", "0.875", "0.900", "0.925"]),
        (Scale(0, 2, 0, 1, whole=True), ["0", "1", "2"]),
        (Scale(-3, 3, 0, 1), ["\u22122", "0", "2"]),
        (Scale(1e-4, 1e-2, 0, 1, log=True), ["0.0001", "0.001", "0.01"]),
    ],
)
def test_labels_have_the_decimals_that_they_need(scale: Scale, labels: list[str]) -> None:
    assert [scale.label(tick) for tick in scale.ticks] == labels


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.8521, 3, "0.852"), (-0.25, 1, "\u22120.2"), (-0.0001, 2, "0.00"), (12345.6, 0, "12\u202f346")],
)
def test_numbers_have_true_minus_signs_and_parted_thousands(value: float, digits: int, text: str) -> None:
    assert fixed(value, digits) == text
    assert number(value, digits) == Markup('<data value="{}">{}</data>').format(repr(value), text)


def test_an_undefined_number_says_so() -> None:
    assert "undefined" in number(None, 3)
    assert "only one class" in number(float("nan"), 3, undefined="only one class")


def test_text_and_attributes_are_escaped_whoever_writes_them() -> None:
    written = element("p", EVIL, element("b", EVIL), title=EVIL, hidden=True, id=None)
    assert "<script>" not in written
    tree = ET.fromstring(written)
    assert (tree.text, tree.attrib) == (EVIL, {"title": EVIL, "hidden": ""})
    assert tree[0].text == EVIL
    assert "<script>" not in table(EVIL, [EVIL], [[EVIL]])


def test_a_chart_alone_is_a_whole_picture(tmp_path: object) -> None:
    frame = Frame.of((0, 1), (0, 1), titles=("x", "y"))
    svg = frame.drawn("what it shows", dot(frame.at((0.5, 0.5)), "dot f1", title=EVIL), names=["a", EVIL])
    tree = ET.fromstring(alone(svg).encode())
    space = "{http://www.w3.org/2000/svg}"
    assert tree.tag == f"{space}svg"
    assert tree.find(f"{space}circle/{space}title").text == EVIL  # type: ignore[union-attr]
    assert ".f1{fill:#0072B2}" in tree.find(f"{space}style").text  # type: ignore[union-attr, operator]


def test_points_that_fall_together_are_written_once() -> None:
    frame = Frame.of((0, 1), (0, 1), titles=("", ""))
    assert frame.path([(0, 0), (0, 1e-9), (1, 1)]).count("L") == 1


def test_ranges_and_names() -> None:
    assert padded([0.9, 1.0], within=(0, 1))[1] == 1
    assert padded([2.0, 2.0])[0] < 2 < padded([2.0, 2.0])[1]
    assert padded([]) == pytest.approx((-0.06, 1.06))
    assert short("short", 10) == "short"
    assert short("a-very-long-name", 9) == "a-ve\u2026name"
