"""Segmented cases side by side: the image, the truth, and the prediction with the truth's outline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from hilum.report.figures import MUTED, bare, colours, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Pixels = npt.NDArray[np.float32]
Labels = npt.NDArray[np.integer]
Scalar = TypeVar("Scalar", bound=np.generic)

ZOOM = 1.7
"""Side of the shown square as a multiple of the structures in it."""
SMALLEST_VIEW = 0.35
"""Side of the shown square, at least this share of the image's longest side: a lesion keeps its surroundings."""
LONGEST_ID = 22
"""Characters of a case id that fit beside the images."""
FILL = 0.55
"""Opacity of a filled structure."""
HEADROOM = 1.2
"""White lies this much above the brightest tissue, so that overlays stand out on it."""
CELL_INCH = 2.0
LINE_SHARE = 0.085
"""Height of a line of scores, as a share of the row."""
TEXT_INCH = 1.35
LEGEND_INCH = 0.45
TITLE_INCH = 0.25


@dataclass(frozen=True)
class MontageCase:
    """One row of the montage, on the image's own grid."""

    id: str
    image: Pixels
    """(I, J, K); K = 1 is an image of rows and columns."""
    spacing: tuple[float, float, float]
    truth: Labels | None
    """Label values (I, J, K), None where nobody drew them."""
    prediction: Labels
    """Label values (I, J, K)."""
    scores: Mapping[str, float]
    """Shown beside the row: name and value."""
    title: str
    """Shown above the id: "worst", "median" or "best"."""


@dataclass(frozen=True)
class View:
    """One plane of a case, first axis down and second to the right, in physical units."""

    image: Pixels
    truth: Labels | None
    prediction: Labels
    extent: tuple[float, float]
    """Height and width of the plane."""
    window: tuple[float, float, float, float]
    """Left, right, bottom and top of the shown square, y pointing down."""


def worst_median_best(scores: Mapping[str, float], *, better: str = "higher") -> list[tuple[str, str]]:
    """Titles and case ids for the rows of a montage; cases without a finite score come before the worst.

    Fewer than three cases give as many rows.
    """
    sign = 1.0 if better == "higher" else -1.0
    ranked = sorted(scores, key=lambda case: (sign * scores[case] if np.isfinite(scores[case]) else -np.inf, case))
    if len(ranked) < 3:
        return list(zip(("worst", "best"), ranked, strict=False))
    return [("worst", ranked[0]), ("median", ranked[(len(ranked) - 1) // 2]), ("best", ranked[-1])]


def montage(cases: Sequence[MontageCase], out: Path, class_names: Mapping[int, str]) -> None:
    """Writes a PNG with a row a case, in the plane and slice that show most, with truth and prediction in colour.

    `class_names` gives the name of each label value of a structure: without the background, whatever its value is.
    """
    tints = dict(zip(class_names, colours(len(class_names)), strict=True))
    with_truth = any(case.truth is not None for case in cases)
    titles = ["image", "truth", "prediction, outline: truth"] if with_truth else ["image", "prediction"]
    width = TEXT_INCH + CELL_INCH * len(titles)
    height = TITLE_INCH + CELL_INCH * len(cases) + LEGEND_INCH
    with figure(width, height, out) as picture:
        picture.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
        ratios = [TEXT_INCH, *[CELL_INCH] * len(titles)]
        grid = picture.subplots(len(cases), len(ratios), squeeze=False, gridspec_kw={"width_ratios": ratios})
        for row, case in zip(grid, cases, strict=True):
            _caption(row[0], case)
            _row(row[1:], _view(case, list(class_names)), tints, with_truth=with_truth)
        for axes, title in zip(grid[0][1:], titles, strict=True):
            axes.set_title(title, loc="center", fontweight="normal")
        _legend(picture, class_names, tints, with_truth=with_truth)


def _row(row: Sequence[Axes], view: View, tints: Mapping[int, str], *, with_truth: bool) -> None:
    for axes in row:
        _show(axes, view)
    if with_truth and view.truth is not None:
        _fill(row[1], view.truth, view, tints)
        _outline(row[2], view.truth, view, tints)
    elif with_truth:
        row[1].text(0.5, 0.5, "none drawn", color="white", ha="center", va="center", transform=row[1].transAxes)
    _fill(row[-1], view.prediction, view, tints)


def _show(axes: Axes, view: View) -> None:
    bare(axes)
    axes.set_facecolor("black")
    low, high = np.percentile(view.image, (1, 99))
    brightest = low + HEADROOM * max(high - low, 1e-6)
    height, width = view.extent
    axes.imshow(view.image, cmap="gray", vmin=low, vmax=brightest, extent=(0, width, height, 0), aspect="equal")
    left, right, bottom, top = view.window
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)


def _fill(axes: Axes, labels: Labels, view: View, tints: Mapping[int, str]) -> None:
    from matplotlib.colors import to_rgba

    height, width = view.extent
    overlay = np.zeros((*labels.shape, 4), dtype=np.float32)
    for value, tint in tints.items():
        overlay[labels == value] = to_rgba(tint, FILL)
    axes.imshow(overlay, extent=(0, width, height, 0), interpolation="nearest", aspect="equal")


def _outline(axes: Axes, labels: Labels, view: View, tints: Mapping[int, str]) -> None:
    """Lines halfway between voxels of a class and their neighbours; a dark rim keeps them visible on any grey."""
    from matplotlib.patheffects import withStroke

    y, x = (
        (np.arange(-1, count + 1) + 0.5) * size / count for count, size in zip(labels.shape, view.extent, strict=True)
    )
    for value, tint in tints.items():
        mask = np.pad(labels == value, 1)
        if mask.any():
            lines = axes.contour(x, y, mask, levels=[0.5], colors=[tint], linewidths=1.1, zorder=3)
            lines.set_path_effects([withStroke(linewidth=2.0, foreground="black", alpha=0.6)])


def _caption(axes: Axes, case: MontageCase) -> None:
    bare(axes)
    axes.text(0.0, 0.98, case.title, fontsize=10, fontweight="bold", va="top", transform=axes.transAxes)
    axes.text(0.0, 0.86, _shortened(case.id), fontsize=7, va="top", color=MUTED, transform=axes.transAxes)
    for line, (name, value) in enumerate(case.scores.items()):
        height = 0.72 - LINE_SHARE * line
        axes.text(0.0, height, name, va="top", transform=axes.transAxes)
        axes.text(0.92, height, _rounded(value), va="top", ha="right", transform=axes.transAxes)


def _shortened(name: str) -> str:
    """The name, or its two ends where it would run into the image."""
    return name if len(name) <= LONGEST_ID else f"{name[: LONGEST_ID // 2]}…{name[-LONGEST_ID // 2 :]}"


def _rounded(value: float) -> str:
    if not np.isfinite(value):
        return "none"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _legend(picture: Figure, names: Mapping[int, str], tints: Mapping[int, str], *, with_truth: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Patch | Line2D] = [Patch(color=tints[value], label=name) for value, name in names.items()]
    if with_truth:
        handles.append(Line2D([], [], color=MUTED, linewidth=1.3, label="outline: truth"))
        handles.append(Patch(facecolor=MUTED, alpha=FILL, label="filled: prediction"))
    picture.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6))


def _view(case: MontageCase, values: Sequence[int]) -> View:
    """The plane and slice of a case that show most foreground, and the square in it that holds the foreground."""
    labels = [case.prediction] if case.truth is None else [case.prediction, case.truth]
    foreground = np.logical_or.reduce([np.isin(array, values) for array in labels])
    axis = _fullest_axis(foreground)
    index = slice_with_all(labels, values, axis) if foreground.any() else foreground.shape[axis] // 2
    flat = case.image.shape[2] == 1

    def plane(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        taken = np.moveaxis(array, axis, 0)[index]
        return taken if flat else taken.T[::-1]  # a volume: second axis up, first axis to the right

    first, second = (step for other, step in enumerate(case.spacing) if other != axis)
    mask = plane(foreground)
    steps = (first, second) if flat else (second, first)
    extent = (mask.shape[0] * steps[0], mask.shape[1] * steps[1])
    return View(
        image=plane(case.image),
        truth=None if case.truth is None else plane(case.truth),
        prediction=plane(case.prediction),
        extent=extent,
        window=square(mask, extent, steps),
    )


def _fullest_axis(foreground: npt.NDArray[np.bool_]) -> int:
    """The axis across which one slice holds the most foreground voxels of all slices; the last of equals."""
    if foreground.shape[2] == 1:
        return 2
    return max((2, 1, 0), key=lambda axis: int(foreground.sum(axis=_others(axis)).max()))


def slice_with_all(labels: Sequence[Labels], values: Sequence[int], axis: int) -> int:
    """The slice across `axis` that shows most of all structures, each as a share of its own largest section."""
    shown = np.zeros(labels[0].shape[axis])
    for array in labels:
        for value in values:
            counts = (array == value).sum(axis=_others(axis))
            shown += counts / max(counts.max(), 1)
    return int(shown.argmax())


def _others(axis: int) -> tuple[int, ...]:
    return tuple(other for other in range(3) if other != axis)


def square(
    mask: npt.NDArray[np.bool_], extent: tuple[float, float], steps: tuple[float, float]
) -> tuple[float, float, float, float]:
    """A square around the foreground: left, right, bottom, top."""
    longest = max(extent)
    if mask.any():
        rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
        spans = [(found[0] * step, (found[-1] + 1) * step) for found, step in zip((rows, columns), steps, strict=True)]
    else:
        spans = [(0.0, extent[0]), (0.0, extent[1])]
    side = min(max(ZOOM * max(high - low for low, high in spans), SMALLEST_VIEW * longest), longest)
    (top, bottom), (left, right) = (
        _within((low + high) / 2, side, size) for (low, high), size in zip(spans, extent, strict=True)
    )
    return left, right, bottom, top


def _within(middle: float, side: float, size: float) -> tuple[float, float]:
    """A span of length `side` around `middle`, moved into 0..size where it fits, else centred on it."""
    start = (size - side) / 2 if side >= size else min(max(middle - side / 2, 0.0), size - side)
    return start, start + side
