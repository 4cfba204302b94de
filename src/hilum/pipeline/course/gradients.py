"""Rung 5: how much of the gradient is left in each layer of a deep network, with sigmoids and with rectifiers."""

from __future__ import annotations

from typing import Any

from hilum.pipeline.course.desk import Desk, Numbers, Trained, percent
from hilum.report.figures import PALETTE

ACTIVATIONS = ("sigmoid", "tanh", "relu")


def work(desk: Desk) -> Numbers:
    """Gradient norms of the first and the last layer in the first epoch, and what was learnt in the end."""
    networks = {name: desk.train("05_gradients", name, [f"network.activation={name}"]) for name in ACTIVATIONS}
    with desk.figure(7.6, 3.2) as picture:
        left, right = picture.subplots(1, 2)
        for colour, (name, trained) in zip(PALETTE, networks.items(), strict=False):
            norms = norms_of(trained)
            left.plot(range(1, len(norms) + 1), norms, "o-", color=colour, markersize=3, label=name)
            right.plot(*trained.curve("train_loss"), color=colour, label=name)
        left.set(yscale="log", title="Gradient of each layer, first epoch", xlabel="layer", ylabel="L2 norm")
        right.set(title="What comes of it", xlabel="epoch", ylabel="loss", ylim=(0, None))
        left.legend()
    return Numbers(
        ("activation", "gradient of layer 1", "of the last layer", "last / first", "loss at the end", "accuracy"),
        tuple(_row(name, trained) for name, trained in networks.items()),
    )


def norms_of(trained: Trained, epoch: int = 0) -> list[float]:
    """The gradient norm of each layer, first to last, its mean over the steps of an epoch."""
    entry: dict[str, Any] = trained.log[epoch]
    return [float(norm) for norm in entry["gradients"].values()]


def _row(name: str, trained: Trained) -> tuple[str, ...]:
    norms, losses = norms_of(trained), trained.curve("train_loss")[1]
    ratio = f"{norms[-1] / norms[0]:.3g}"
    accuracy = percent(trained.accuracy("test"))
    return (name, f"{norms[0]:.2g}", f"{norms[-1]:.2g}", ratio, f"{losses[-1]:.2f}", accuracy)
