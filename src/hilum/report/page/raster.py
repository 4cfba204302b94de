"""Charts and pictures of a page as PNG: for slides, for TensorBoard, and for whatever takes no SVG."""

from __future__ import annotations

from functools import cache
from pathlib import Path

ZOOM = 3
"""Pixels for each unit of a chart: 1260 across."""


def as_png(svg: str) -> bytes:
    """A chart that stands alone as PNG, with letters that come with matplotlib, whatever fonts the machine has."""
    import resvg_py

    files, family = _fonts()
    return resvg_py.svg_to_bytes(
        svg_string=svg,
        zoom=ZOOM,
        skip_system_fonts=True,
        font_files=list(files),
        font_family=family,
        sans_serif_family=family,
    )


@cache
def _fonts() -> tuple[tuple[str, ...], str]:
    """The files of a font, and its name."""
    import matplotlib as mpl

    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    return (str(folder / "DejaVuSans.ttf"), str(folder / "DejaVuSans-Bold.ttf")), "DejaVu Sans"
