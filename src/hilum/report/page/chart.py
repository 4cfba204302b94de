"""Axes and marks of a chart as hand-written SVG: crisp at every size, coloured by the page's own variables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from importlib import resources
from typing import Any

from markupsafe import Markup

from hilum.report.page.markup import EMPTY, element, fixed, joined
from hilum.report.page.palette import hue, hues, on_images, resolved

WIDTH, HEIGHT = 420.0, 280.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 16.0, 30.0, 44.0
"""Room around the axes for ticks and titles."""
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
"""Ticks are these far apart, times a power of ten."""
LETTER = 7.2
"""Width of a letter of a legend, roughly."""
LINE = 19.0
"""Height of a line of a legend."""
DASHES = ("", " dashed", " dotted")

Point = tuple[float, float]


@dataclass(frozen=True)
class Drawing:
    """A chart with its heading and what it shows in a sentence; `name` is that of its file in the folder of figures."""

    name: str
    title: str
    svg: Markup
    caption: Any


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` on a line from `start` to `stop`; `whole` ones have no ticks between integers."""

    low: float
    high: float
    start: float
    stop: float
    _: KW_ONLY
    log: bool = False
    whole: bool = False

    def __call__(self, value: float) -> float:
        """Where a value lies on the line."""
        low, high, at = (math.log10(each) if self.log else each for each in (self.low, self.high, value))
        share = (at - low) / (high - low) if high != low else 0.5
        return self.start + share * (self.stop - self.start)

    @cached_property
    def ticks(self) -> list[float]:
        """Round values between the two ends, about five of them."""
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            every = max(1, math.ceil((last - first + 1) / 6))
            return [10.0**exponent for exponent in range(first, last + 1, every)] or [self.low, self.high]
        if self.high <= self.low:
            return [self.low]
        step = self._step
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]

    def label(self, tick: float) -> str:
        """A tick with as many decimals as tell it from its neighbours."""
        if self.log:
            return f"{tick:g}".replace("-", "\u2212")
        if self.high <= self.low:
            return f"{tick:g}"
        power = math.floor(math.log10(self._step) + 1e-9)
        half = abs(self._step / 10.0**power - 2.5) < 1e-6  # steps of 0.25 need one decimal more than those of 0.2
        return fixed(tick, min(max(0, -power + half), 6))

    @property
    def _step(self) -> float:
        rough = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(step * power for step in STEPS if step * power >= rough * (1 - 1e-9))
        return max(1.0, float(math.ceil(step - 1e-9))) if self.whole else step


@dataclass(frozen=True)
class Frame:
    """Two axes, what they are called, and the size of the picture. y points up; its title stands above it."""

    x: Scale
    y: Scale
    _: KW_ONLY
    x_title: str = ""
    y_title: str = ""
    height: float = HEIGHT
    bare_y: bool = False
    """Without ticks and lines of y, where rows have names instead."""

    @classmethod
    def of(cls, x: Point, y: Point, *, titles: tuple[str, str], log: bool = False, whole: bool = False) -> Frame:
        """Axes over the ranges of x and y; `log` is about y, `whole` about x."""
        across = Scale(*x, LEFT, WIDTH - RIGHT, whole=whole)
        up = Scale(*y, HEIGHT - BOTTOM, TOP, log=log)
        return cls(across, up, x_title=titles[0], y_title=titles[1])

    @classmethod
    def square(cls, *, titles: tuple[str, str]) -> Frame:
        """Two shares against each other, on axes of one length."""
        height = WIDTH - LEFT - RIGHT + TOP + BOTTOM
        across, up = Scale(0, 1, LEFT, WIDTH - RIGHT), Scale(0, 1, height - BOTTOM, TOP)
        return cls(across, up, x_title=titles[0], y_title=titles[1], height=height)

    def at(self, point: Point) -> Point:
        """Where a point of the data lies in the picture."""
        return self.x(point[0]), self.y(point[1])

    def path(self, points: Iterable[Point]) -> str:
        """A line through points of the data; points that fall on one place are written once."""
        places = [(round(x, 1), round(y, 1)) for x, y in map(self.at, points)]
        kept = [place for index, place in enumerate(places) if not index or place != places[index - 1]]
        return "M" + "L".join(f"{x:g} {y:g}" for x, y in kept)

    def drawn(self, description: str, *marks: Any, names: Sequence[str] = ()) -> Markup:
        """The whole picture: grid below, marks above, labels outside, and a legend where curves have `names`.

        `description` is read out in place of the picture.
        """
        key, height = _legend(names, self.height)
        content = joined([*self._grid(), *marks, *self._labels(), *key])
        return picture(description, content, (WIDTH, height))

    def _grid(self) -> list[Markup]:
        left, right, top, bottom = self.x.start, self.x.stop, self.y.stop, self.y.start
        across = [] if self.bare_y else self.y.ticks
        return [
            *(line((left, self.y(tick)), (right, self.y(tick)), "grid") for tick in across),
            *(line((self.x(tick), bottom), (self.x(tick), top), "grid") for tick in self.x.ticks),
            line((left, bottom), (right, bottom), "axis"),
        ]

    def _labels(self) -> list[Markup]:
        left, bottom = self.x.start, self.y.start
        across = [] if self.bare_y else self.y.ticks
        return [
            *(text((self.x(tick), bottom + 16), self.x.label(tick), "tick", anchor="middle") for tick in self.x.ticks),
            *(text((left - 7, self.y(tick) + 4), self.y.label(tick), "tick", anchor="end") for tick in across),
            text(((left + self.x.stop) / 2, self.height - 8), self.x_title, "title", anchor="middle"),
            text((4, 15), self.y_title, "title"),
        ]


def picture(description: str, content: Markup, size: tuple[float, float]) -> Markup:
    """An SVG of this width and height, read out as its description."""
    return element(
        "svg",
        content,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {size[0]:g} {size[1]:g}",
        class_="chart",
        role="img",
        aria_label=description,
    )


def line(start: Point, stop: Point, kind: str) -> Markup:
    """A straight line in the picture's own coordinates."""
    x1, y1, x2, y2 = (f"{value:.1f}" for value in (*start, *stop))
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def text(place: Point, words: str, kind: str, *, anchor: str | None = None) -> Markup:
    """Words at a place of the picture."""
    if not words:
        return EMPTY
    return element("text", words, x=f"{place[0]:.1f}", y=f"{place[1]:.1f}", class_=kind, text_anchor=anchor)


def curve(path: str, kind: str) -> Markup:
    """A line or an area along a path."""
    return element("path", d=path, class_=kind)


def box(corner: Point, size: Point, kind: str, **more: Any) -> Markup:
    """A rectangle from its upper left corner."""
    x, y, width, height = (f"{value:.1f}" for value in (*corner, *size))
    return element("rect", x=x, y=y, width=width, height=height, class_=kind, **more)


def dot(place: Point, kind: str, *, title: str, radius: float = 3.2) -> Markup:
    """A point of the data that says what it is where the pointer rests on it."""
    x, y = place
    return element("circle", element("title", title), cx=f"{x:.1f}", cy=f"{y:.1f}", r=f"{radius:g}", class_=kind)


def line_kind(index: int) -> str:
    """The colour and the dashes of curve number `index`: dashes tell curves apart when the colours begin again."""
    return f"curve l{hue(index)}{DASHES[index // 7 % len(DASHES)]}"


def short(name: str, most: int) -> str:
    """A name, or its two ends where it is longer than `most` letters."""
    end = (most - 1) // 2
    return name if len(name) <= most else f"{name[: most - 1 - end]}\u2026{name[-end:]}"


def padded(values: Sequence[float], *, within: Point | None = None, share: float = 0.06) -> Point:
    """A range that holds all values with some room to both sides, cut to what is possible."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    room = share * (high - low) or 0.05 * abs(high) or 0.5
    low, high = low - room, high + room
    return (low, high) if within is None else (max(low, within[0]), min(high, within[1]))


def alone(svg: Markup) -> str:
    """A chart as a file of its own: on white, with its rules of style inside."""
    head, _, rest = str(svg).partition(">")
    paper = element("rect", width="100%", height="100%", class_="paper")
    on_image = 'class="plane"' in head
    rules = f"<style>{resolved(asset('chart.css') + hues(), on_image=on_image)}</style>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}>{rules}{paper}{rest}\n'


def rules_of_charts() -> str:
    """The rules of style that every chart needs beside the variables of its colours."""
    return asset("chart.css") + hues() + on_images()


def asset(name: str) -> str:
    """The text of a file that lies beside this module."""
    return (resources.files("hilum.report.page") / name).read_text(encoding="utf-8")


def _legend(names: Sequence[str], top: float) -> tuple[list[Markup], float]:
    """Lines of swatches and names from `top` down, and where they end."""
    marks: list[Markup] = []
    x, y = LEFT, top + 12
    for index, name in enumerate(names):
        width = 34 + LETTER * len(name)
        if x > LEFT and x + width > WIDTH:
            x, y = LEFT, y + LINE
        marks.append(line((x, y - 4), (x + 18, y - 4), line_kind(index)))
        marks.append(text((x + 25, y), name, "key"))
        x += width + 8
    return marks, y + 8 if names else top
