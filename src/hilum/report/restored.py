"""Pictures of a restoration: the input, what the network made of it, what was wanted, and the error left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hilum.report.figures import bare, figure

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

CELL_INCH = 1.9
TITLES = ("input", "restored", "wanted", "restored less wanted")


@dataclass(frozen=True)
class RestoredCase:
    """The middle slices (I, J) of one case and what to write beside them."""

    title: str
    given: Floats
    restored: Floats
    truth: Floats


def restored_montage(shown: Sequence[RestoredCase], out: Path) -> None:
    """Writes a PNG with a row for each case; greys are those of the wanted image, errors red above and blue below."""
    with figure(CELL_INCH * len(TITLES) + 0.3, (CELL_INCH + 0.25) * len(shown), out) as picture:
        grid = picture.subplots(len(shown), len(TITLES), squeeze=False)
        for axes, one in zip(grid, shown, strict=True):
            low, high = float(one.truth.min()), float(one.truth.max())
            for place, image in zip(axes, (one.given, one.restored, one.truth), strict=False):
                place.imshow(image, cmap="gray", vmin=low, vmax=high if high > low else low + 1)
            error = one.restored - one.truth
            most = max(float(np.abs(one.given - one.truth).max()), 1e-12)
            axes[-1].imshow(error, cmap="RdBu_r", vmin=-most, vmax=most)
            for place in axes:
                bare(place)
            axes[0].set_title(f"{one.title} ({TITLES[0]})", fontsize=7.5)
            for place, title in zip(axes[1:], TITLES[1:], strict=True):
                place.set_title(title, fontsize=7.5, fontweight="normal", loc="center")
