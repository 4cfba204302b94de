"""Pictures of a classifier: which images it got most wrong, its confusion matrix and its ROC curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hilum.report.figures import GRID, INK, MUTED, RIGHT, WRONG, bare, figure, line_look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Probabilities = npt.NDArray[np.floating]
Indices = npt.NDArray[np.integer]

SHOWN_CLASSES = 3
"""Bars under an image: its most likely classes, the true one among them."""
CELL_INCH = 1.25


@dataclass(frozen=True)
class ImageCase:
    """One picture of the image montage."""

    id: str
    image: npt.NDArray[np.float32]
    """(I, J), or (I, J, 3) in colour; first axis down. Of a volume, its middle slice."""
    truth: str
    probabilities: Mapping[str, float]
    """By class name."""


def extremes(
    truth: Indices, probabilities: Probabilities, count: int, *, predicted: Indices | None = None
) -> dict[str, list[int]]:
    """Row indices of the cases to show under "most wrong", "most uncertain" and "most right", at most `count` each.

    `truth` (N,) are class indices, `probabilities` (N, C), `predicted` (N,) the decided classes, by default the most
    likely ones. Wrong and right are ranked by the probability of the true class, uncertain by how little the first
    choice leads the second; no case is shown twice.
    """
    true_share = probabilities[np.arange(len(truth)), truth]
    ordered = np.sort(probabilities, axis=1)
    lead = ordered[:, -1] - ordered[:, -2]
    correct = (probabilities.argmax(1) if predicted is None else predicted) == truth
    ranked = np.argsort(true_share, kind="stable")
    wrong = [int(index) for index in ranked if not correct[index]][:count]
    right = [int(index) for index in ranked[::-1] if correct[index]][:count]
    taken = {*wrong, *right}
    unsure = [int(index) for index in np.argsort(lead, kind="stable") if int(index) not in taken][:count]
    return {"most wrong": wrong, "most uncertain": unsure, "most right": right}


def image_montage(groups: Mapping[str, Sequence[ImageCase]], out: Path) -> None:
    """Writes a PNG with a row a group: each image with its true class and its highest probabilities.

    Groups without images are left out. Raises ValueError where no group has one.
    """
    shown = {title: cases for title, cases in groups.items() if cases}
    if not shown:
        raise ValueError("an image montage needs at least one image; received none")
    columns = max(len(cases) for cases in shown.values())
    bars = min(SHOWN_CLASSES, max(len(case.probabilities) for cases in shown.values() for case in cases))
    row_inch = 0.3 + CELL_INCH + 0.22 + 0.17 * bars
    with figure(max(CELL_INCH * columns, 3.0) + 0.2, row_inch * len(shown), out) as picture:
        parts = picture.subfigures(len(shown), 1, squeeze=False).ravel()
        for part, (title, cases) in zip(parts, shown.items(), strict=True):
            part.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
            _image_row(part, cases, columns, bars)


def _image_row(part: SubFigure, cases: Sequence[ImageCase], columns: int, bars: int) -> None:
    grid = part.subplots(2, columns, squeeze=False, gridspec_kw={"height_ratios": [CELL_INCH, 0.17 * bars]})
    for column in range(columns):
        picture, shares = grid[0][column], grid[1][column]
        bare(picture)
        bare(shares)
        if column >= len(cases):
            continue
        case = cases[column]
        low, high = np.percentile(case.image, (0.5, 99.5))
        picture.imshow(((case.image - low) / max(high - low, 1e-6)).clip(0, 1), cmap="gray", vmin=0, vmax=1)
        picture.set_title(f"{case.id}\ntruth: {case.truth}", fontsize=6.5, fontweight="normal", loc="center")
        _probability_bars(shares, case, bars)


def _probability_bars(axes: Axes, case: ImageCase, bars: int) -> None:
    """Bars of the likeliest classes on a full-width track: the true class in one colour, others in another."""
    likely = sorted(case.probabilities, key=lambda name: -case.probabilities[name])[:bars]
    if case.truth not in likely:
        likely[-1] = case.truth
    for place, name in enumerate(likely):
        share = case.probabilities[name]
        axes.barh(place, 1.0, color=GRID, height=0.82)
        axes.barh(place, share, color=RIGHT if name == case.truth else WRONG, height=0.82, alpha=0.55)
        axes.text(0.02, place, name, va="center", ha="left", fontsize=6, clip_on=True)
        axes.text(0.98, place, f"{share:.2f}", va="center", ha="right", fontsize=6)
    axes.set_xlim(0, 1)
    axes.set_ylim(bars - 0.5, -0.5)


def classification_panels(
    truth: Indices,
    probabilities: Probabilities,
    classes: Sequence[str],
    out: Path,
    *,
    predicted: Indices | None = None,
) -> None:
    """Writes a PNG with the confusion matrix and the ROC curves of `truth` (N,) and `probabilities` (N, C).

    `predicted` (N,) are the decided classes, by default the most likely ones.

    Two classes give the curve of the second; more give one curve a class against all others. A class without
    a case, or with all of them, has no curve.
    """
    decided = probabilities.argmax(1) if predicted is None else predicted
    with figure(7.4, 3.5, out) as picture:
        left, right = picture.subplots(1, 2)
        _confusion(picture, left, _confusion_counts(truth, decided, len(classes)), classes)
        _roc(right, truth, probabilities, classes)


def _confusion_counts(truth: Indices, predicted: Indices, num_classes: int) -> npt.NDArray[np.int64]:
    """Number of cases by true class (rows) and predicted class (columns)."""
    counts = np.bincount(truth * num_classes + predicted, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def _confusion(picture: Figure, axes: Axes, counts: npt.NDArray[np.int64], classes: Sequence[str]) -> None:
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    ticks = np.arange(len(classes))
    crowded = len(classes) > 4
    axes.set_xticks(ticks, classes, rotation=40 if crowded else 0, ha="right" if crowded else "center")
    axes.set_yticks(ticks, classes)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth")
    axes.set_title("Confusion matrix")
    size = 8 if len(classes) <= 5 else 5.5
    for row, column in np.ndindex(counts.shape):
        text = f"{counts[row, column]}" + ("" if len(classes) > 8 else f"\n{shares[row, column]:.0%}")
        colour = "white" if shares[row, column] > 0.55 else INK
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)
    bar = picture.colorbar(shown, ax=axes, shrink=0.8, label="share of the true class")
    bar.outline.set_visible(False)


def _roc(axes: Axes, truth: Indices, probabilities: Probabilities, classes: Sequence[str]) -> None:
    from sklearn.metrics import roc_auc_score, roc_curve

    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="chance")
    curves = [1] if len(classes) == 2 else range(len(classes))
    for order, index in enumerate(curves):
        positive = truth == index
        if positive.all() or not positive.any():
            continue
        false_share, true_share, _ = roc_curve(positive, probabilities[:, index])
        area = roc_auc_score(positive, probabilities[:, index])
        label = f"{classes[index]}  AUC {area:.3f}"
        axes.plot(false_share, true_share, label=label, **line_look(order))
    axes.set_aspect("equal")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("1 - specificity")
    axes.set_ylabel("sensitivity")
    axes.set_title("ROC, one class against the rest" if len(classes) > 2 else "ROC")
    axes.legend(loc="lower right", fontsize=7 if len(classes) <= 8 else 5.5)
