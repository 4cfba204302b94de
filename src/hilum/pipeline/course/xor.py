"""Rung 3: exclusive or, which no straight line separates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hilum.pipeline.course.desk import Desk, Numbers, Trained, percent
from hilum.pipeline.course.planes import FIRST, SECOND, draw_plane
from hilum.report.figures import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PERCEPTRON = (
    "network={kind: linear, output: step}",
    "loss={kind: mse, of: outputs}",
    "optimizer={kind: sgd, lr: 0.1, momentum: 0}",
)
LOGISTIC = ("network={kind: linear}",)


def work(desk: Desk) -> Numbers:
    """Accuracy of the perceptron, of logistic regression and of an MLP with two hidden units."""
    networks = {
        "perceptron": desk.train("03_xor", "perceptron", PERCEPTRON),
        "logistic regression": desk.train("03_xor", "logistic", LOGISTIC),
        "MLP, 2 hidden units": desk.train("03_xor", "mlp"),
    }
    with desk.figure(6.0, 4.3) as picture:
        axes = picture.subplots(2, 2).ravel()
        for panel, (name, trained) in zip(axes, networks.items(), strict=False):
            images, targets = trained.samples("test")
            title = f"{name.capitalize() if name[0] != 'M' else name}: {percent(trained.accuracy('test'))}"
            draw_plane(panel, images, targets, answers=trained.answers, title=title)
        _draw_hidden(axes[3], networks["MLP, 2 hidden units"])
    rows = tuple(
        (name, str(trained.parameters), percent(trained.accuracy("train")), percent(trained.accuracy("test")))
        for name, trained in networks.items()
    )
    return Numbers(("", "weights", "accuracy, points learnt from", "accuracy, points never seen"), rows)


def _draw_hidden(axes: Axes, trained: Trained) -> None:
    """The points as the two hidden units see them, where a straight line does separate them."""
    images, targets = trained.samples("test")
    layers = trained.restored.model.get_submodule("layers")
    first, activate, output = (layers.get_submodule(name) for name in ("fc1", "act1", "output"))
    with torch.no_grad():
        hidden = activate(first(images.flatten(1)))
    if hidden.shape[1] != 2:
        axes.set_visible(False)
        return
    for number, colour in enumerate((FIRST, SECOND)):
        x, y = hidden[targets == number].T.numpy()
        axes.plot(x, y, "o", color=colour, markersize=3, markeredgewidth=0.3, markeredgecolor="white")
    state = output.state_dict()
    weight, bias = state["weight"][1] - state["weight"][0], float(state["bias"][1] - state["bias"][0])
    ends = torch.tensor([-1.2, 1.2])
    axes.plot(ends, -(weight[0] * ends + bias) / weight[1], color=INK, linewidth=1)
    axes.set(title="The same points after the hidden layer", xlabel="hidden unit 1", ylabel="hidden unit 2")
    axes.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2))
