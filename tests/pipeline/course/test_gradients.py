"""Rung 5: the logged norms are those of autograd, and shrink by the layer with sigmoids only."""

from collections.abc import Callable

import pytest
import torch

from hilum.pipeline.course.desk import Desk
from hilum.pipeline.course.gradients import norms_of


def ratio(norms: list[float]) -> float:
    return norms[0] / norms[-1]


@pytest.mark.slow
def test_sigmoids_leave_nothing_for_the_first_layer(desk: Callable[..., Desk]) -> None:
    place = desk("05_gradients", "train.epochs=1", "train.steps_per_epoch=2", "network.hidden=[16, 16, 16, 16, 16, 16]")
    found = {}
    for name in ("sigmoid", "relu"):
        found[name] = norms_of(place.train("05_gradients", name, [f"network.activation={name}"]))
        assert len(found[name]) == 7
    # A sigmoid's slope is 1/4 at most: six of them leave 4^-6, times what the weights add.
    assert ratio(found["sigmoid"]) < 0.25**4
    assert ratio(found["relu"]) > 0.05


def test_logged_norms_are_those_of_autograd(desk: Callable[..., Desk]) -> None:
    """One step with a learning rate of almost nothing: the weights that are kept are those of the first step."""
    still = ["train.epochs=1", "data.batch_size=all", "optimizer.lr=1e-12", "network.hidden=[8]", "schedule=constant"]
    trained = desk("05_gradients").train("05_gradients", "still", still)
    images, targets = trained.samples("train")
    model = trained.restored.model.train()
    torch.nn.functional.cross_entropy(model(images), targets).backward()
    expected = [
        float(
            torch.cat(
                [parameter.grad.flatten() for parameter in layer.parameters() if parameter.grad is not None]
            ).norm()
        )
        for layer in model.modules()
        if isinstance(layer, torch.nn.Linear)
    ]
    assert norms_of(trained) == pytest.approx(expected, rel=1e-4)
