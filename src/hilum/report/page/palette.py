"""The colours of the page in the light and in the dark, as variables of CSS."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hilum.report.figures import PALETTE

LIGHT = {
    "paper": "#ffffff",
    "card": "#ffffff",
    "wash": "#f5f7f9",
    "ink": "#1b1f24",
    "muted": "#59626c",
    "faint": "#8b949e",
    "rule": "#dfe3e8",
    "grid": "#eceff2",
    "accent": "#005f9e",
    "warn": "#a04000",
    "good": "#006b4a",
    "on-cell": "#ffffff",
}
DARK = {
    "paper": "#121518",
    "card": "#171b1f",
    "wash": "#1c2126",
    "ink": "#e9ebee",
    "muted": "#a7b0b9",
    "faint": "#737d87",
    "rule": "#2d343b",
    "grid": "#242a30",
    "accent": "#72bff2",
    "warn": "#f5a86d",
    "good": "#55d3a9",
    "on-cell": "#0c1116",
}
VARIABLE = re.compile(r"var\(--([a-z0-9-]+)\)")
DARK_PALETTE = ("#5CB3EA", "#F2854A", "#2EC495", "#E3A0C9", "#EDB43C", "#A3D6F5", "#B4B4B4")
"""PALETTE on a dark page, hue by hue."""


def variables() -> str:
    """The rules that set all colours: light ones, and dark ones for screens that ask for them or were switched."""
    light = f":root{{color-scheme:light;{_declared(LIGHT, PALETTE)}}}"
    night = f"color-scheme:dark;{_declared(DARK, DARK_PALETTE)}"
    asked = f'@media screen and (prefers-color-scheme:dark){{:root:not([data-theme="light"]){{{night}}}}}'
    return f'{light}{asked}@media screen{{:root[data-theme="dark"]{{{night}}}}}'


def resolved(rules: str, *, on_image: bool = False) -> str:
    """Rules of style with the light colours in place of variables, which few programs but browsers know."""
    tints = DARK_PALETTE if on_image else PALETTE
    known = {**LIGHT, **{f"c{index}": tint for index, tint in enumerate(tints, start=1)}}
    return VARIABLE.sub(lambda found: known[found[1]], rules)


def on_images() -> str:
    """The rule that gives whatever lies on a dark image, and its key, the brighter colours of the palette."""
    return f".plane,.key{{{_declared({}, DARK_PALETTE)}}}"


def hues() -> str:
    """Rules that give lines (l1, l2, ...), fills (f1, ...) and swatches (c1, ...) the colours of the palette."""
    return "".join(
        f".l{index}{{stroke:var(--c{index})}}.f{index}{{fill:var(--c{index})}}.c{index}{{background:var(--c{index})}}"
        for index in range(1, len(PALETTE) + 1)
    )


def hue(index: int) -> int:
    """The number, from 1, of the colour that curve or structure `index` has; the colours begin again after the last."""
    return index % len(PALETTE) + 1


def _declared(names: Mapping[str, str], palette: tuple[str, ...]) -> str:
    coloured = {f"c{index}": tint for index, tint in enumerate(palette, start=1)}
    return "".join(f"--{name}:{value};" for name, value in {**names, **coloured}.items())
