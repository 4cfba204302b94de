"""Pictures of the inside of a network: filters, feature maps, Grad-CAM, and histograms of its layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hilum.report.figures import INK, MUTED, RIGHT, bare, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float32]

MOST_FILTERS = 64
MOST_CHANNELS = 4
MOST_MAPS = 8
MOST_LAYERS = 24
BINS = 60
HEAT = "magma"
HEAT_OPACITY = 0.7
CELL_INCH = 0.62


@dataclass(frozen=True)
class Heat:
    """The map (*spatial) for one class, of a given probability."""

    name: str
    probability: float
    values: Array
    is_truth: bool


def shown_of(indices: int, most: int) -> list[int]:
    """Up to `most` of the numbers below `indices`, evenly spread, the first and the last among them."""
    if indices <= most:
        return list(range(indices))
    return [round(place * (indices - 1) / (most - 1)) for place in range(most)]


def plane(volume: Array, place: int | None = None) -> Array:
    """A picture (rows, columns) of an image (I, J), or of the slice of a volume (I, J, K) at `place`, else its middle.

    The first axis runs to the right and the second one upwards, as in an image whose axes point right and anterior.
    """
    flat = volume if volume.ndim == 2 else volume[:, :, volume.shape[2] // 2 if place is None else place]
    return np.flipud(flat.T) if volume.ndim == 3 else flat


def filters_picture(filters: Array, out: Path, *, layer: str, channels: Sequence[str]) -> None:
    """Writes a PNG of the filters (O, C, *spatial) of a first layer: a block a channel, white is 0, blue below, red
    above; in 3D the middle slice of each.
    """
    count, shown = min(len(filters), MOST_FILTERS), min(filters.shape[1], MOST_CHANNELS)
    columns = min(count, 16)
    rows = math.ceil(count / columns)
    limit = float(np.abs(filters[:count, :shown]).max()) or 1.0
    with figure(max(3.4, columns * CELL_INCH * 0.8), 0.5 + shown * (rows * CELL_INCH * 0.8 + 0.35), out) as picture:
        size = "x".join(str(length) for length in filters.shape[2:])
        middle = ", middle slices" if filters.ndim == 5 else ""
        picture.suptitle(
            f"{layer}: {count} of {len(filters)} filters {size}{middle}, from {-limit:.2g} (blue) to {limit:.2g} (red)",
            fontsize=9,
        )
        blocks = np.atleast_1d(np.asarray(picture.subfigures(shown, 1), dtype=object))
        for channel, block in enumerate(blocks):
            block.suptitle(f"channel {channels[channel]}", fontsize=7.5, color=MUTED, x=0.01, ha="left")
            grid = block.subplots(rows, columns, squeeze=False).ravel()
            for axes in grid:
                bare(axes)
            for axes, kernel in zip(grid, filters[:count, channel], strict=False):
                axes.imshow(plane(kernel), cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")


def maps_picture(image: Array, stages: Mapping[str, Array], out: Path, *, title: str) -> None:
    """Writes a PNG of what each stage gives for an image (*spatial): a row a stage, its maps (C, *spatial) beside it.

    Of a volume the middle slice. Each map has its own range of grey: black is its lowest value, white its highest.
    """
    chosen = [list(stages)[index] for index in shown_of(len(stages), 12)]
    with figure(1.5 + (MOST_MAPS + 1) * 0.95, 0.4 + len(chosen) * 1.1, out) as picture:
        picture.suptitle(title, fontsize=9)
        grid = picture.subplots(len(chosen), MOST_MAPS + 1, squeeze=False)
        for row, name in zip(grid, chosen, strict=True):
            for axes in row:
                bare(axes)
            maps = stages[name]
            size = " x ".join(str(length) for length in maps.shape[1:])
            row[0].imshow(plane(image), cmap="gray")
            row[0].set_ylabel(f"{name}\n{len(maps)} maps\n{size}", rotation=0, ha="right", va="center", fontsize=7)
            for axes, index in zip(row[1:], shown_of(len(maps), MOST_MAPS), strict=False):
                axes.imshow(plane(maps[index]), cmap="gray", interpolation="nearest")
                axes.set_title(str(index), fontsize=6, color=MUTED, pad=2, loc="center", fontweight="normal")


def gradcam_picture(image: Array, heats: Sequence[Heat], out: Path, *, title: str) -> None:
    """Writes a PNG of Grad-CAM: a row a class, with the image, the map, and the map over the image.

    Of a volume the three planes through the map's highest value. All maps share one range, from 0 to the highest.
    """
    planes = 1 if image.ndim == 2 else 3
    window = (float(image.min()), float(image.max()))
    top = max(float(heat.values.max()) for heat in heats) or 1.0
    with figure(1.2 + 3 * planes * 1.25, 0.6 + len(heats) * 1.4, out) as picture:
        picture.suptitle(title, fontsize=9)
        grid = picture.subplots(len(heats), 3 * planes, squeeze=False)
        for row, heat in zip(grid, heats, strict=True):
            for axes in row:
                bare(axes)
            truth = "\n(true)" if heat.is_truth else ""
            empty = "" if heat.values.any() else "\nnothing\nspeaks for it"
            label = f"{heat.name}\np = {heat.probability:.2f}{truth}{empty}"
            row[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=7.5)
            for number, (pixels, warm) in enumerate(_cuts(image, heat.values)):
                _three(row[3 * number : 3 * number + 3], pixels, warm, top=top, window=window)


def _cuts(image: Array, heat: Array) -> list[tuple[Array, Array]]:
    """The picture and its map; of a volume in the three planes through the highest value of the map."""
    if image.ndim == 2:
        return [(image, heat)]
    place = np.unravel_index(int(heat.argmax()), heat.shape)
    orders = ((0, 1, 2), (0, 2, 1), (1, 2, 0))  # axial, coronal, sagittal where the axes point R, A, S
    return [
        (plane(image.transpose(order), int(place[order[2]])), plane(heat.transpose(order), int(place[order[2]])))
        for order in orders
    ]


def _three(axes: Sequence[Axes], pixels: Array, heat: Array, *, top: float, window: tuple[float, float]) -> None:
    """The image, shown in a window of values, the map up to its highest value, and the map over the image."""
    low, high = window
    axes[0].imshow(pixels, cmap="gray", vmin=low, vmax=high)
    axes[1].imshow(heat, cmap=HEAT, vmin=0, vmax=top)
    axes[2].imshow(pixels, cmap="gray", vmin=low, vmax=high)
    axes[2].imshow(heat, cmap=HEAT, vmin=0, vmax=top, alpha=HEAT_OPACITY * heat / top)  # nothing over what is 0


def histograms_picture(layers: Mapping[str, Array], out: Path, *, title: str, sizes_only: bool = False) -> None:
    """Writes a PNG with a histogram for each layer, first layer first; of more than 24 layers, 24 evenly spread.

    With `sizes_only` of the powers of ten of what is not 0, which compares gradients of very different lengths: all
    layers then share their axis and bins, so that the few numbers of a small layer are seen, too.
    """
    names = list(layers)
    chosen = [names[index] for index in shown_of(len(names), MOST_LAYERS)]
    columns = min(4, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    some = "" if len(chosen) == len(names) else f" ({len(chosen)} of {len(names)} layers)"
    with figure(0.6 + columns * 1.75, 0.5 + rows * 1.2, out) as picture:
        picture.suptitle(f"{title}{some}", fontsize=9)
        grid = picture.subplots(rows, columns, squeeze=False, sharex=sizes_only).ravel()
        for axes in grid[len(chosen) :]:
            axes.set_visible(False)
        powers = np.concatenate([_powers(layers[name]) for name in chosen]) if sizes_only else None
        common = None if powers is None else np.histogram_bin_edges(powers, bins=BINS)
        for axes, name in zip(grid, chosen, strict=False):
            _histogram(axes, layers[name], name, common=common)


def _powers(values: Array) -> Array:
    """The powers of ten of what is not 0."""
    powers: Array = np.log10(np.abs(values[values != 0]))
    return powers


def _histogram(axes: Axes, values: Array, name: str, *, common: npt.NDArray[np.float64] | None) -> None:
    """One layer's histogram, in bins of its own, or of powers of ten in the `common` bins; zeros are said in words."""
    zeros, sizes_only = float(np.mean(values == 0)), common is not None
    left = _powers(values) if sizes_only else values
    axes.set_title(name, fontsize=6.5, fontweight="normal", pad=2)
    if left.size:
        counts, edges = np.histogram(left, bins=BINS if common is None else common)
        axes.stairs(counts, edges, fill=True, color=RIGHT)  # one patch: much faster than a bar each
        axes.set_yscale("linear" if sizes_only else "symlog")
    if zeros >= 0.005:
        axes.text(0.98, 0.9, f"{zeros:.0%} zero", transform=axes.transAxes, ha="right", fontsize=6, color=INK)
    axes.grid(False)
    axes.tick_params(labelsize=6, labelbottom=True)
    axes.tick_params(axis="y", which="both", left=False, labelleft=False)
    if sizes_only:
        axes.xaxis.set_major_formatter(lambda power, _: f"1e{power:g}")
