"""How every picture of hilum looks: colours, fonts, sizes, and how it is written."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum.formats.atomic import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 200
INK = "#222222"
MUTED = "#777777"
GRID = "#e6e6e6"
RIGHT = "#0072B2"
WRONG = "#D55E00"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6B6B6B")
"""Lines on white: the colours of Okabe and Ito (2008), told apart by colour-blind readers."""
OVERLAY_PALETTE = ("#56B4E9", "#E69F00", "#CC79A7", "#F0E442", "#009E73", "#D55E00", "#0072B2")
"""Structures on a grey image: the same colours, the brightest first."""
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.titlesize": 9.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "text.color": INK,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
}


@contextmanager
def figure(width_inch: float, height_inch: float, out: Path) -> Iterator[Figure]:
    """A figure in hilum's style, written to `out` as PNG when the block ends; no window system is needed."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        picture = Figure(figsize=(width_inch, height_inch), layout="constrained")
        FigureCanvasAgg(picture)
        yield picture
        content = io.BytesIO()
        picture.savefig(content, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.08)
        write_whole(out, content.getvalue())


def line_look(index: int) -> dict[str, Any]:
    """Colour and dashes of the curve number `index`: dashes tell curves apart when the colours begin again."""
    return {
        "color": PALETTE[index % len(PALETTE)],
        "linestyle": ("-", "--", ":")[index // len(PALETTE) % 3],
    }


def colours(count: int) -> list[str]:
    """`count` different colours for structures on a grey image, colour-blind-safe up to seven."""
    if count <= len(OVERLAY_PALETTE):
        return list(OVERLAY_PALETTE[:count])
    import matplotlib as mpl
    from matplotlib.colors import to_hex

    return [to_hex(mpl.colormaps["turbo"](0.05 + 0.9 * index / (count - 1))) for index in range(count)]


def bare(axes: Axes) -> None:
    """Takes ticks, grid and frame away, for axes that hold an image."""
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
