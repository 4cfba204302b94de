"""Rung 9: plain and residual networks, shallow and deep."""

from __future__ import annotations

from hilum.pipeline.course.desk import Desk, Numbers, Trained, percent
from hilum.report.figures import PALETTE

DEPTHS = (18, 50, 101)


def work(desk: Desk) -> Numbers:
    """Training loss and accuracy by depth, with and without shortcuts."""
    networks: dict[tuple[bool, int], Trained] = {}
    for shortcuts in (False, True):
        for depth in DEPTHS:
            name = f"{'residual' if shortcuts else 'plain'}-{depth}"
            settings = [f"network.depth={depth}", f"network.shortcuts={str(shortcuts).lower()}"]
            networks[shortcuts, depth] = desk.train("09_residual", name, settings)
    with desk.figure(7.4, 3.0) as picture:
        panels = picture.subplots(1, 2, sharey=True)
        for (shortcuts, depth), trained in networks.items():
            axes = panels[int(shortcuts)]
            axes.plot(*trained.curve("train_loss"), color=PALETTE[DEPTHS.index(depth)], label=f"{depth} layers")
        for axes, title in zip(panels, ("Plain", "Residual"), strict=True):
            axes.set(title=title, xlabel="epoch", ylabel="loss on digits learnt from", ylim=(0, None))
            axes.legend()
    rows = [
        (
            "residual" if shortcuts else "plain",
            str(depth),
            f"{trained.parameters:,}".replace(",", " "),
            f"{trained.curve('train_loss')[1][-1]:.3f}",
            percent(trained.accuracy("test")),
        )
        for (shortcuts, depth), trained in networks.items()
    ]
    return Numbers(("", "layers", "weights", "loss at the end", "accuracy"), tuple(rows))
