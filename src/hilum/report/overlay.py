"""One predicted case as a picture: the planes that show most of it, with the outlines of its structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from hilum.problem import Problem
from hilum.report.figures import MUTED, bare, colours, figure
from hilum.report.montage import square
from hilum.report.page.planes import EDGES, PLANES, windowed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Pixels = npt.NDArray[np.float32]
Labels = npt.NDArray[np.integer]
Scalar = TypeVar("Scalar", bound=np.generic)

PANEL_INCH, ALONE_INCH = 3.0, 4.5
"""Side of each of several planes, and of a picture that is shown alone."""
LINE_INCH = 0.2
"""Height of a line of text."""
MOST_NAMED = 24
"""Structures that the legend names; the others are counted."""
COUNTED_VOXELS = 2**22
"""Voxels that are counted together."""


@dataclass(frozen=True)
class Overlay:
    """A case with the labels that were predicted for it."""

    id: str
    image: Pixels
    """(I, J, K), axes pointing right, anterior and superior where `anatomical`; else K = 1, or a stack of pictures."""
    labels: Labels
    """Label values (I, J, K)."""
    spacing: tuple[float, float, float]
    anatomical: bool
    sizes: Mapping[str, str]
    """The size of each structure in words, such as 3.1 ml."""


@dataclass(frozen=True)
class Panel:
    """One plane, first axis down and second to the right."""

    name: str
    image: Pixels
    masks: npt.NDArray[np.bool_]
    """(structures, rows, columns)"""
    steps: tuple[float, float]
    """Distance between rows and between columns."""


def write_overlay(case: Overlay, problem: Problem, out: Path) -> None:
    """A PNG with the axial, coronal and sagittal plane that show most of the structures; of a picture, itself.

    Outlines run along the edges of voxels, each structure in its colour. As radiologists look: the patient's right is
    on the left.
    """
    axes = _across(case)
    sections = _sections(case.labels, problem, axes)
    panels = [_panel(case, problem, axis, _fullest(counts)) for axis, counts in zip(axes, sections, strict=True)]
    tints = dict(zip(problem.foreground, colours(len(problem.foreground)), strict=True))
    there = [name for name, seen in zip(problem.foreground, sections[0].sum(0), strict=True) if seen]
    lines = 2 + (min(len(there), MOST_NAMED) + 2) // 3
    side = PANEL_INCH if len(panels) > 1 else ALONE_INCH
    with figure(side * len(panels), side + LINE_INCH * lines, out) as picture:
        picture.suptitle(case.id, fontsize=9, x=0.01, ha="left")
        for place, panel in zip(picture.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _draw(place, panel, list(tints.values()))
        _legend(picture, there, tints, case.sizes)


def _across(case: Overlay) -> list[int]:
    """The axes across which planes are shown: all of a volume, one where there is a single plane, or no anatomy."""
    flat = [axis for axis in (2, 1, 0) if case.image.shape[axis] == 1][:1]
    return flat or ([2, 1, 0] if case.anatomical else [2])


def _fullest(counts: npt.NDArray[np.int64]) -> int:
    """The plane with most of all structures, each as a share of its own largest section; else the middle one."""
    shares = (counts / np.maximum(counts.max(0), 1)).sum(1)
    return int(shares.argmax()) if shares.any() else len(counts) // 2


def _sections(labels: Labels, problem: Problem, axes: Sequence[int]) -> list[npt.NDArray[np.int64]]:
    """For each axis the voxels of each structure in each plane across it: (planes, structures)."""
    wanted = problem.values[len(problem.classes) - len(problem.foreground) :]
    values = np.unique([int(value) for group in wanted for value in group])
    members = problem.membership(values).astype(np.int64)
    totals = {axis: np.zeros((labels.shape[axis], len(values)), np.int64) for axis in axes}
    thick = max(1, COUNTED_VOXELS // max(1, labels.shape[1] * labels.shape[2]))
    for first in range(0, len(labels), thick):
        slab = labels[first : first + thick]
        places = np.nonzero(np.isin(slab, values))
        codes = np.searchsorted(values, slab[places])
        for axis in axes:
            planes = places[axis] + (first if axis == 0 else 0)
            length = len(values) * labels.shape[axis]
            totals[axis] += np.bincount(planes * len(values) + codes, minlength=length).reshape(-1, len(values))
    return [totals[axis] @ members.T for axis in axes]


def _panel(case: Overlay, problem: Problem, axis: int, index: int) -> Panel:
    """A plane of a case, turned as radiologists look where the axes say where they point."""

    def cut(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        taken = np.moveaxis(array, axis, 0)[index]
        return taken.T[::-1, ::-1] if case.anatomical else taken  # up, and to the left

    first, second = (step for other, step in enumerate(case.spacing) if other != axis)
    return Panel(
        name=PLANES[axis] if case.anatomical else "",
        image=cut(case.image),
        masks=problem.membership(cut(case.labels)),
        steps=(second, first) if case.anatomical else (first, second),
    )


def _draw(axes: Axes, panel: Panel, tints: Sequence[str]) -> None:
    bare(axes)
    axes.set_facecolor("black")
    height, width = (size * step for size, step in zip(panel.image.shape, panel.steps, strict=True))
    left, right, bottom, top = square(np.logical_or.reduce(panel.masks), (height, width), panel.steps)
    axes.imshow(
        windowed(panel.image), cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0), aspect="equal",
        interpolation="nearest",
    )  # fmt: skip
    for mask, tint in zip(panel.masks, tints, strict=True):
        _outline(axes, mask, panel.steps, tint)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_title(panel.name, loc="center", fontweight="normal")
    places = ((0.02, 0.5), (0.98, 0.5), (0.5, 0.97), (0.5, 0.03))
    for letter, (x, y) in zip(EDGES.get(panel.name, ""), places, strict=False):
        axes.text(x, y, letter, color="white", ha="center", va="center", fontsize=7, transform=axes.transAxes)


def _outline(axes: Axes, mask: npt.NDArray[np.bool_], steps: tuple[float, float], tint: str) -> None:
    """Lines along the edges of the voxels of a structure; a dark rim keeps them visible on any grey."""
    from matplotlib.collections import LineCollection

    inside = np.pad(mask, 1)
    y, x = np.nonzero(inside[1:, 1:-1] != inside[:-1, 1:-1])
    level = np.stack([np.stack([x, y], 1), np.stack([x + 1, y], 1)], 1)
    y, x = np.nonzero(inside[1:-1, 1:] != inside[1:-1, :-1])
    upright = np.stack([np.stack([x, y], 1), np.stack([x, y + 1], 1)], 1)
    edges = np.concatenate([level, upright]) * np.array(steps[::-1])
    for colour, points, opacity in (("black", 1.8, 0.5), (tint, 1.0, 1.0)) if len(edges) else ():
        lines = LineCollection(list(edges), colors=colour, linewidths=points, alpha=opacity, capstyle="round", zorder=3)
        axes.add_collection(lines)


def _legend(picture: Figure, there: Sequence[str], tints: Mapping[str, str], sizes: Mapping[str, str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=tints[name], linewidth=1.6, label=f"{name} {sizes.get(name, '')}".rstrip())
        for name in there[:MOST_NAMED]
    ]
    if len(there) > MOST_NAMED:
        handles.append(Line2D([], [], color=MUTED, linestyle="", label=f"and {len(there) - MOST_NAMED} more"))
    if not there:
        handles.append(Line2D([], [], color=MUTED, linestyle="", label="no structure found"))
    picture.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 3))
