"""Rung 7: what becomes of the maps of a layer when the image moves, measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hilum.pipeline.course.desk import Desk, Numbers, Trained, percent
from hilum.report.figures import PALETTE, bare

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Maps = Callable[[Tensor], Tensor]
NETWORKS = {
    "convolutions": ("convolutions", []),
    "convolutions and pooling": ("pooling", ["network.pooling=max"]),
    "kernels that are not shared": (
        "local",
        ["network={kind: locally_connected, channels: [8, 16], kernel: 3, activation: relu, hidden: [32]}"],
    ),
}
"""The run and the settings of each network."""
SHIFTS = (1, 2, 3, 4)
MARGIN = 4
"""Pixels of an image near each border that do not count: there the shift brings in something new."""


def work(desk: Desk) -> Numbers:
    """By how much the maps of a moved image differ from the moved maps of the image, in three networks."""
    networks = {name: desk.train("07_equivariance", run, settings) for name, (run, settings) in NETWORKS.items()}
    errors = {name: [error_of(trained, by) for by in SHIFTS] for name, trained in networks.items()}
    with desk.figure(8.0, 3.0) as picture:
        ((left, right),) = picture.subfigures(1, 2, squeeze=False, width_ratios=(3, 2))
        _draw_maps(left, {name: networks[name] for name in (*NETWORKS,)[::2]})
        axes = right.subplots()
        for colour, (name, values) in zip(PALETTE, errors.items(), strict=False):
            axes.plot(SHIFTS, [max(value, 1e-8) for value in values], "o-", color=colour, markersize=4, label=name)
        axes.set(yscale="log", ylim=(5e-9, 5), xticks=SHIFTS)
        axes.set(title="Moved maps against maps of the moved", xlabel="pixels", ylabel="relative difference")
        axes.legend(loc="center left", bbox_to_anchor=(0, 0.45))
    columns = ("", "weights", *(f"moved by {by}" for by in SHIFTS), "accuracy", "accuracy, moved by 3")
    rows = [
        (
            name,
            f"{trained.parameters:,}".replace(",", " "),
            *(f"{value:.1e}" for value in errors[name]),
            percent(trained.accuracy("test")),
            percent(trained.accuracy("test", moved=lambda images: images.roll(3, -1))),
        )
        for name, trained in networks.items()
    ]
    return Numbers(columns, tuple(rows))


def error_of(trained: Trained, by: int, *, most: int = 100) -> float:
    """The relative difference between the maps of moved test images and the moved maps, away from the borders."""
    images, _ = trained.samples("test")
    return equivariance_error(maps_of(trained), images[:most], by)


def maps_of(trained: Trained) -> Maps:
    """The last maps of the network before its pooling over the whole image or its fully connected layers."""
    return trained.restored.model.get_submodule("features")


def equivariance_error(maps: Maps, images: Tensor, by: int) -> float:
    """|maps(moved) - moved(maps)| / |maps| for images (N, C, H, W) moved to the right by so many pixels.

    Where the maps are k times smaller than the image, they are moved by the nearest whole number to `by` / k. Only
    places count that MARGIN + `by` pixels of the image or more lie away from its borders.
    """
    with torch.no_grad():
        still, moving = maps(images), maps(images.roll(by, -1))
    factor = max(1, round(images.shape[-1] / still.shape[-1]))
    edge = -(-(MARGIN + by) // factor)
    wanted = still.roll(round(by / factor), -1)[..., edge:-edge, edge:-edge]
    difference = moving[..., edge:-edge, edge:-edge] - wanted
    return float(difference.norm() / wanted.norm())


def _draw_maps(picture: Figure, networks: dict[str, Trained]) -> None:
    """Image, map, moved image, its map, and how that differs from the moved map; a row a network."""
    by = 3
    panels = picture.subplots(len(networks), 5, squeeze=False)
    for row, (name, trained) in zip(panels, networks.items(), strict=True):
        image = trained.samples("test")[0][:1]
        with torch.no_grad():
            first, second = maps_of(trained)(image), maps_of(trained)(image.roll(by, -1))
        liveliest = int(first[0].std((-2, -1)).argmax())
        still, moving = first[0, liveliest], second[0, liveliest]
        shown = (image[0, 0], still, image.roll(by, -1)[0, 0], moving, moving - still.roll(by, -1))
        reach = float(still.abs().max())
        for number, (panel, values) in enumerate(zip(row, shown, strict=True)):
            last = number == len(shown) - 1
            low, high = (-reach, reach) if last else (None, None)
            panel.imshow(values, cmap="RdBu_r" if last else "gray", vmin=low, vmax=high)
            bare(panel)
        row[0].set_title(name.capitalize(), fontsize=8)
    for panel, text in zip(panels[-1], ("image", "a map", "moved image", "its map", "less moved map"), strict=True):
        panel.set_xlabel(text, fontsize=7)
