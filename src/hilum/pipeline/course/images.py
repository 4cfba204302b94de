"""Rung 6: LeNet-5 against a fully connected network on digits, as they are and moved a little."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hilum.pipeline.course.desk import Desk, Numbers, Trained, percent
from hilum.report.figures import PALETTE, bare

NETWORKS = {"MLP, 300 and 100 units": ("mlp", ["network={kind: mlp, hidden: [300, 100]}"]), "LeNet-5": ("lenet5", [])}
"""The run and the settings of each network."""
MOST_PIXELS = 6
TABLED = (0, 2, 4)
"""Shifts in the table, in pixels of 28."""


def work(desk: Desk) -> Numbers:
    """Weights and accuracy of both networks, by how far the test images are moved."""
    networks = {name: desk.train("06_images", run, settings) for name, (run, settings) in NETWORKS.items()}
    shifts = range(MOST_PIXELS + 1)
    found = {name: [accuracy_moved(trained, by) for by in shifts] for name, trained in networks.items()}
    images, _ = networks["LeNet-5"].samples("test")
    with desk.figure(7.6, 3.0) as picture:
        grid = picture.add_gridspec(2, 6)
        for place, by in enumerate((0, 0, 2, 4, 4, 6)):
            panel = picture.add_subplot(grid[place // 3, place % 3])
            panel.imshow(moved(by)(images[place : place + 1])[0, 0], cmap="gray")
            panel.set_title(f"{by} pixels" if by else "as it is", fontsize=7, fontweight="normal")
            bare(panel)
        right = picture.add_subplot(grid[:, 3:])
        for colour, (name, values) in zip(PALETTE, found.items(), strict=False):
            right.plot(shifts, [100 * value for value in values], "o-", color=colour, markersize=3, label=name)
        right.set(
            title="Digits never seen", xlabel="moved to the right by, pixels", ylabel="accuracy, %", ylim=(0, 102)
        )
        right.legend(loc="lower left")
    columns = ("", "weights", *(f"moved by {by} pixels" if by else "accuracy" for by in TABLED))
    rows = [
        (name, f"{trained.parameters:,}".replace(",", " "), *(percent(found[name][by]) for by in TABLED))
        for name, trained in networks.items()
    ]
    return Numbers(columns, tuple(rows))


def accuracy_moved(trained: Trained, by: int) -> float:
    """The accuracy on test images that are moved to the right by so many pixels."""
    return trained.accuracy("test", moved=moved(by))


def moved(by: int) -> Callable[[Tensor], Tensor]:
    """A function that moves images (N, C, H, W) to the right and fills with 0, which is black, on the left."""

    def move(images: Tensor) -> Tensor:
        return torch.nn.functional.pad(images, (by, 0))[..., : images.shape[-1]]

    return move
