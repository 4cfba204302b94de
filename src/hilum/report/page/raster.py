"""Charts and pictures of a page as PNG: for slides, for TensorBoard, and for whatever takes no SVG."""

from __future__ import annotations

import math
import re
from functools import cache
from pathlib import Path

ZOOM = 3
"""Pixels for each unit of a chart: 1260 across."""
OUTLINE = re.compile(r'transform="([^"]*scale\(([\d.]+) ([\d.]+)\))" class="(prediction|truth)')
WIDTHS = {"prediction": 1.1, "truth": 1.5}
"""Of the outlines on a picture of a case, as chart.css has them."""


def as_png(svg: str) -> bytes:
    """A chart that stands alone as PNG, with letters that come with matplotlib, whatever fonts the machine has."""
    import resvg_py

    files, family = _fonts()
    return resvg_py.svg_to_bytes(
        svg_string=OUTLINE.sub(_narrowed, svg),
        zoom=ZOOM,
        image_rendering="optimize_speed",  # voxels as they are, in a fifth of the time that smoothing them takes
        skip_system_fonts=True,
        font_files=list(files),
        font_family=family,
        sans_serif_family=family,
    )


def _narrowed(found: re.Match[str]) -> str:
    """An outline whose line is as wide as it would be without its scale: what draws PNG scales every line."""
    width = WIDTHS[found[4]] / math.sqrt(float(found[2]) * float(found[3]))
    return f'style="stroke-width:{width:.4f};filter:none" {found[0]}'


@cache
def _fonts() -> tuple[tuple[str, ...], str]:
    """The files of a font, and its name."""
    import matplotlib as mpl

    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    return (str(folder / "DejaVuSans.ttf"), str(folder / "DejaVuSans-Bold.ttf")), "DejaVu Sans"
