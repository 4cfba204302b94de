"""Pictures of the plane of two inputs: points by class, and what a network answers everywhere between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hilum.report.figures import INK, PALETTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

FIRST, SECOND = PALETTE[0], PALETTE[1]
CELLS = 160


def draw_plane(
    axes: Axes, images: Tensor, targets: Tensor, *, answers: Callable[[Tensor], Tensor], title: str = ""
) -> None:
    """Points (N, 1, 1, 2) in the colour of their class, over the probability of class 1 at each place around them.

    `answers` gives probabilities (N, 2) of images (N, 1, 1, 2). The line is where both classes are as likely.
    """
    from matplotlib.colors import LinearSegmentedColormap

    points = images.reshape(-1, 2)
    low, high = points.amin(0) - 0.3, points.amax(0) + 0.3
    across, up = (torch.linspace(float(low[axis]), float(high[axis]), CELLS) for axis in (0, 1))
    grid = torch.stack(torch.meshgrid(across, up, indexing="xy"), dim=-1).reshape(-1, 1, 1, 2)
    likely = answers(grid)[:, 1].reshape(CELLS, CELLS).numpy()
    shades = LinearSegmentedColormap.from_list("classes", [FIRST, "white", SECOND])
    extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    axes.imshow(likely, origin="lower", extent=extent, cmap=shades, vmin=-0.25, vmax=1.25, aspect="auto", alpha=0.55)
    if likely.min() < 0.5 < likely.max():
        axes.contour(across.numpy(), up.numpy(), likely, levels=[0.5], colors=INK, linewidths=1)
    for number, colour in enumerate((FIRST, SECOND)):
        x, y = points[targets == number].T.numpy()
        axes.plot(x, y, "o", color=colour, markersize=3, markeredgewidth=0.3, markeredgecolor="white")
    axes.grid(False)
    axes.set(title=title, xlabel="x1", ylabel="x2")
