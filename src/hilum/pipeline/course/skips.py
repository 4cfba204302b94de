"""Rung 10: a U-Net with and without its skip connections on the membranes of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hilum.evaluation.summary import overall
from hilum.pipeline.course.desk import Desk, Numbers, Trained
from hilum.report.figures import PALETTE, bare

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NETWORKS = {"without skip connections": ("without", ["network.skips=false"]), "with them": ("with", [])}
"""The run and the settings of each network."""
MEMBRANE = 1


def work(desk: Desk) -> Numbers:
    """Overlap and distance of borders on pictures never seen, with and without skip connections."""
    networks = {name: desk.train("10_skips", run, settings) for name, (run, settings) in NETWORKS.items()}
    images, targets = networks["with them"].samples("test")
    with desk.figure(8.0, 2.4) as picture:
        panels = picture.subplots(1, 5, width_ratios=(1, 1, 1, 1, 1.5))
        answers = [trained.answers(images[:1])[0, MEMBRANE] for trained in networks.values()]
        shown = (images[0, 0], targets[0], *answers)
        for axes, values, title in zip(panels, shown, ("Image", "Truth", "Without", "With skips"), strict=False):
            axes.imshow(values, cmap="gray")
            axes.set_title(title, fontsize=8)
            bare(axes)
        _draw_curves(panels[-1], networks)
    rows = []
    for name, trained in networks.items():
        scores = overall(trained.tested())
        weights = f"{trained.parameters:,}".replace(",", " ")
        rows.append((name, weights, *(f"{scores[column]:.3f}" for column in ("dice", "nsd"))))
    return Numbers(("", "weights", "Dice of membranes", "share of borders within 1 pixel"), tuple(rows))


def _draw_curves(axes: Axes, networks: dict[str, Trained]) -> None:
    for colour, (name, trained) in zip(PALETTE, networks.items(), strict=False):
        axes.plot(*trained.curve("val_dice"), "o-", color=colour, markersize=2.5, label=name)
    axes.set(title="Dice on validation", xlabel="epoch", ylim=(0, 1))
    axes.legend(loc="lower right")
