"""Pairs of images that show the same, side by side, with what differs between them once they are aligned."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from hilum.data.audit.copies import Pair, Scan
from hilum.data.audit.looks import upright
from hilum.data.audit.search import turned
from hilum.formats.reading import read
from hilum.report.figures import MUTED, WRONG, bare, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 40
"""Pairs in one picture; the first are those across parts."""
PAIRS_A_ROW = 2
CELL_INCH = 1.45
CAPTION_INCH = 0.42
LONGEST = 30
"""Characters of an id that fit over an image."""
STRONGEST = 0.25
"""Differences of this share of the first image's range are drawn in full colour."""

Picture = npt.NDArray[np.float32]


def montage(pairs: Sequence[Pair], file: Path) -> None:
    """Write a PNG with three images a pair: the first, the second as it is stored, and their difference once aligned.

    Raises DataError for images that can no longer be read, ValueError where there is no pair.
    """
    if not pairs:
        raise ValueError("a montage needs at least one pair")
    shown = pairs[:SHOWN]
    columns = min(PAIRS_A_ROW, len(shown))
    rows = ceil(len(shown) / columns)
    more = f", the first {len(shown)} of them" if len(shown) < len(pairs) else ""
    with figure(3 * columns * CELL_INCH, rows * (CELL_INCH + CAPTION_INCH) + CAPTION_INCH, file) as canvas:
        canvas.suptitle(f"{_count(pairs)}{more}", fontsize=9, fontweight="bold")
        grid = canvas.subplots(rows, 3 * columns, squeeze=False)
        for axes in grid.flat:
            bare(axes)
        for index, pair in enumerate(shown):
            row, column = divmod(index, columns)
            _draw(list(grid[row][3 * column : 3 * column + 3]), pair)


def _count(pairs: Sequence[Pair]) -> str:
    across = sum(pair.across_parts for pair in pairs)
    return f"{len(pairs)} {'pair' if len(pairs) == 1 else 'pairs'} of copies, {across} across parts"


def _draw(cells: Sequence[Axes], pair: Pair) -> None:
    first, second, difference = pictures(pair)
    for axes, image, scan in ((cells[0], first, pair.first), (cells[1], second, pair.second)):
        low, high = np.percentile(image, (0.5, 99.5))
        axes.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-6))
        axes.set_title(_caption(scan, pair), fontsize=6, fontweight="normal", loc="left", linespacing=1.15)
    cells[2].set_title(_verdict(pair), fontsize=6, loc="left", color=WRONG, linespacing=1.15)
    if difference is None:
        middle = cells[2].text(0.5, 0.5, "the same voxels\nin another order", transform=cells[2].transAxes)
        middle.set(ha="center", va="center", fontsize=6, color=MUTED)
    else:
        cells[2].imshow(difference, cmap="RdBu_r", vmin=-STRONGEST, vmax=STRONGEST)


def _caption(scan: Scan, pair: Pair) -> str:
    label = f"class {scan.case.label}" if isinstance(scan.case.label, str) else ""
    conflict = isinstance(scan.case.label, str) and pair.first.case.label != pair.second.case.label
    whose = f"patient {scan.case.patient}" if scan.case.patient != scan.case.id else ""
    said = ", ".join(part for part in (scan.part, label + (" (!)" if conflict else "")) if part)
    lines = (_shortened(scan.case.id), _shortened(whose), said)
    return "\n".join(line for line in lines if line)


def _verdict(pair: Pair) -> str:
    name = {"identical": "identical voxels", "turned": "mirrored or turned", "near": "difference once aligned"}[
        pair.how
    ]
    words = [pair.words] if pair.words and pair.how == "near" else []
    return "\n".join([name, *words, f"{pair.score:.3f} alike" if pair.how == "near" else ""]).rstrip()


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}...{text[-LONGEST // 2 + 3 :]}"


def pictures(pair: Pair) -> tuple[Picture, Picture, Picture | None]:
    """The first image, the second as it is stored, and the second minus the first where they were aligned.

    Volumes by their middle slice. The difference is a share of the first image's range, once brightness and contrast
    are those of the first. Raises DataError where an image cannot be read.
    """
    first, second = (upright(read(scan.ref)).float() for scan in (pair.first, pair.second))
    shown = _slice(first), _slice(second)
    if pair.how == "turned":
        return shown[0], shown[1], None
    laid = _laid_onto(second, first, pair)
    inside = ~laid.isnan()
    design = torch.stack([laid[inside], torch.ones(int(inside.sum()))], dim=1)
    gain, offset = torch.linalg.lstsq(design, first[inside]).solution.tolist()
    span = float(np.subtract(*np.percentile(first.numpy(), (99.5, 0.5)))) or 1.0
    return shown[0], shown[1], _slice((laid * gain + offset - first) / span)


def _laid_onto(second: Tensor, first: Tensor, pair: Pair) -> Tensor:
    """The second image on the pixels of the first, NaN beyond its borders."""
    if not pair.scale:
        return second
    axes = first.ndim
    moving = turned(second, pair.orientation, axes=axes)
    lines = [(2 * torch.arange(size) + 1) / size - 1 for size in first.shape]
    points = torch.stack(torch.meshgrid(*lines, indexing="ij"), dim=-1)
    where = points * torch.tensor(pair.scale) + torch.tensor(pair.shift)
    laid = grid_sample(moving[None, None], where.flip(-1)[None], padding_mode="border", align_corners=False)[0, 0]
    return laid.masked_fill((where.abs() > 1).any(-1), float("nan"))


def _slice(image: Tensor) -> Picture:
    """An image as it is, or the middle slice of a volume turned as people look at it."""
    if image.ndim == 2:
        return image.numpy()
    return image[:, :, image.shape[2] // 2].T.flip(0).numpy()
