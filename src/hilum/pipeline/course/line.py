"""Rung 1: gradient descent finds a line, where brute force and the normal equation find it too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hilum.pipeline.course.desk import Desk, Numbers
from hilum.report.figures import INK, MUTED, PALETTE
from hilum.sources.toy_sets import INTERCEPT, SLOPE
from hilum.training import checkpoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]
STEPS = 401
"""Values of w and of b that brute force tries between -1 and 1 and between 0 and 2, 0.005 apart."""


@dataclass(frozen=True)
class Line:
    """A slope, an intercept, and how far points lie from the line: their mean squared error."""

    w: float
    b: float
    error: float


def work(desk: Desk) -> Numbers:
    """Slopes and intercepts by three methods; the figure shows points and lines, and the way down the error."""
    path: list[tuple[float, float]] = [(0.0, 0.0)]

    def follow(entry: dict[str, Any]) -> None:
        del entry
        path.append(_weights(desk.folder / "runs" / "line" / "checkpoints" / "last.pt"))

    trained = desk.train("01_line", "line", on_epoch=follow)
    images, targets = trained.samples("train")
    x, y = images.flatten().double().numpy(), targets.flatten().double().numpy()
    w, b = path[-1]
    found = {
        "brute force, 160 801 lines": brute_force(x, y),
        "normal equation": normal_equation(x, y),
        f"gradient descent, {len(path) - 1} steps": Line(w, b, error_of(x, y, w, b)),
    }
    with desk.figure(7.2, 3.0) as picture:
        left, right = picture.subplots(1, 2)
        _draw_points(left, x, y, found)
        _draw_path(right, x, y, path)
    truth = Line(SLOPE, INTERCEPT, error_of(x, y, SLOPE, INTERCEPT))
    rows = [
        (name, f"{line.w:.4f}", f"{line.b:.4f}", f"{line.error:.6f}")
        for name, line in {"the line that the points were drawn around": truth, **found}.items()
    ]
    return Numbers(("", "w", "b", "mean squared error"), tuple(rows))


def error_of(x: Array, y: Array, w: float, b: float) -> float:
    """The mean squared error of the line w x + b at points (N,)."""
    return float(np.mean((w * x + b - y) ** 2))


def normal_equation(x: Array, y: Array) -> Line:
    """The line of least squared error, in closed form: A^T A (w, b) = A^T y with the rows (x, 1) of A."""
    rows = np.stack([x, np.ones_like(x)], axis=1)
    w, b = np.linalg.solve(rows.T @ rows, rows.T @ y).tolist()
    return Line(w, b, error_of(x, y, w, b))


def brute_force(x: Array, y: Array) -> Line:
    """The best of all lines of a grid of slopes and intercepts."""
    slopes, intercepts = np.linspace(-1, 1, STEPS), np.linspace(0, 2, STEPS)
    errors = _surface(x, y, slopes, intercepts)
    row, column = np.unravel_index(errors.argmin(), errors.shape)
    return Line(float(slopes[column]), float(intercepts[row]), float(errors[row, column]))


def _surface(x: Array, y: Array, slopes: Array, intercepts: Array) -> Array:
    """The mean squared error (intercepts, slopes) of every line, from the moments of the points."""
    w, b = np.meshgrid(slopes, intercepts)
    squares = w**2 * np.mean(x**2) + b**2 + np.mean(y**2)
    return np.asarray(squares + 2 * (w * b * np.mean(x) - w * np.mean(x * y) - b * np.mean(y)))


def _weights(file: Path) -> tuple[float, float]:
    """Slope and intercept that a checkpoint holds."""
    tensors, _ = checkpoint.load(file)
    model = tensors["model"]
    return float(model["layers.output.weight"]), float(model["layers.output.bias"])


def _draw_points(axes: Axes, x: Array, y: Array, found: dict[str, Line]) -> None:
    axes.plot(x, y, "o", color=MUTED, markersize=2.5, alpha=0.6, markeredgewidth=0)
    ends = np.array([0.0, 2.0])
    looks = ((5.0, "-", PALETTE[5]), (2.6, "-", PALETTE[4]), (1.2, "--", INK))
    for (name, line), (width, dashes, colour) in zip(found.items(), looks, strict=True):
        label = f"{name.partition(',')[0]}: {line.w:.3f} x + {line.b:.3f}"
        axes.plot(ends, line.w * ends + line.b, linestyle=dashes, linewidth=width, color=colour, label=label)
    axes.set(title="Three ways to one line", xlabel="x", ylabel="y")
    axes.legend(loc="upper left")


def _draw_path(axes: Axes, x: Array, y: Array, path: Sequence[tuple[float, float]]) -> None:
    """The error over w and b, and the way of gradient descent from 0, 0 to its lowest point."""
    slopes, intercepts = np.linspace(-0.1, 0.9, 121), np.linspace(-0.1, 1.1, 121)
    errors = _surface(x, y, slopes, intercepts)
    levels = np.geomspace(errors.min() * 1.1, errors.max(), 12)
    axes.contour(slopes, intercepts, errors, levels=levels, colors=MUTED, linewidths=0.6)
    way = np.array(path)
    axes.plot(way[:, 0], way[:, 1], "o-", color=PALETTE[1], markersize=2.5, linewidth=1, label="gradient descent")
    axes.plot([SLOPE], [INTERCEPT], "x", color=INK, markersize=7, label="w = 0.3, b = 0.7")
    axes.set(title="The way down the error", xlabel="w", ylabel="b")
    axes.grid(False)
    axes.legend(loc="upper right")
