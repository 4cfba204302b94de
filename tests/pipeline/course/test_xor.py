"""Rung 3: no line separates XOR, whichever is tried; two hidden units do."""

import itertools
from collections.abc import Callable

import numpy as np
import torch

from hilum.pipeline.course.desk import Desk, Trained
from hilum.pipeline.course.xor import LOGISTIC, PERCEPTRON

CORNERS = ["data.source.noise=0", "data.source.cases=80"]


def test_no_line_gets_more_than_three_corners_right() -> None:
    corners, truth = np.array([(0, 0), (0, 1), (1, 0), (1, 1)]), np.array([False, True, True, False])
    steps = np.linspace(-2, 2, 17)
    lines = itertools.product(steps, steps, steps)
    right = max(int(((corners @ (a, b) + c > 0) == truth).sum()) for a, b, c in lines)
    assert right == 3


def right(trained: Trained) -> int:
    """How many of the four corners a network gets right."""
    corners = torch.tensor([(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)]).reshape(4, 1, 1, 2)
    return int((trained.answers(corners).argmax(1) == torch.tensor([0, 1, 1, 0])).sum())


def test_one_layer_fails_and_two_hidden_units_do_not(desk: Callable[..., Desk]) -> None:
    place = desk("03_xor", *CORNERS)
    for name, settings in (("perceptron", PERCEPTRON), ("logistic", LOGISTIC)):
        assert right(place.train("03_xor", name, [*settings, "train.epochs=10"])) <= 3
    mlp = place.train("03_xor", "mlp", ["data.batch_size=4"])
    assert (right(mlp), mlp.accuracy("test")) == (4, 1)
