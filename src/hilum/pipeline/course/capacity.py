"""Rung 4: too small, about right and too large a network on the same 60 points, and overfitting in the curves."""

from __future__ import annotations

from hilum.pipeline.course.desk import Desk, Numbers, Trained, percent
from hilum.pipeline.course.planes import draw_plane
from hilum.report.figures import MUTED, PALETTE

SIZES = {"none": "[]", "8 units": "[8]", "3 x 256 units": "[256, 256, 256]"}
"""Hidden layers by the name of the network."""


def work(desk: Desk) -> Numbers:
    """Loss on points learnt from and on others: the lowest of the run, and that of its end."""
    networks = {
        name: desk.train("04_capacity", f"hidden-{number}", [f"network.hidden={hidden}"])
        for number, (name, hidden) in enumerate(SIZES.items())
    }
    with desk.figure(7.0, 4.2) as picture:
        panels = picture.subplots(2, len(networks), squeeze=False)
        for column, (name, trained) in enumerate(networks.items()):
            images, targets = trained.samples("train")
            draw_plane(panels[0, column], images, targets, answers=trained.answers, title=f"Hidden layers: {name}")
            for index, (entry, label) in enumerate((("train_loss", "learnt from"), ("val_loss", "never seen"))):
                panels[1, column].plot(*trained.curve(entry), color=PALETTE[index], label=label)
            panels[1, column].axvline(best_epoch(trained), color=MUTED, linewidth=1, linestyle=":", label="kept")
            panels[1, column].set(ylim=(0, 1.2), xlabel="epoch", ylabel="loss")
        panels[1, 0].legend(loc="lower left")
    return Numbers(
        ("hidden layers", "weights", "loss on points learnt from", "lowest loss on others", "at the end", "accuracy"),
        tuple(_row(name, trained) for name, trained in networks.items()),
    )


def best_epoch(trained: Trained) -> int:
    """The epoch, from 1, of which the weights are kept: the best on validation."""
    return int(trained.restored.facts["best"]["epoch"]) + 1


def _row(name: str, trained: Trained) -> tuple[str, ...]:
    train, val = trained.curve("train_loss")[1], trained.curve("val_loss")[1]
    lowest = f"{min(val):.2f} (epoch {val.index(min(val)) + 1})"
    return (
        name,
        str(trained.parameters),
        f"{train[-1]:.2f}",
        lowest,
        f"{val[-1]:.2f}",
        percent(trained.accuracy("test")),
    )
