"""Rung 6: moving fills with black, and both networks learn real digits."""

from collections.abc import Callable

import pytest
import torch

from hilum.pipeline.course.desk import Desk
from hilum.pipeline.course.images import NETWORKS, accuracy_moved, moved


def test_moving_shifts_to_the_right_and_fills_with_black() -> None:
    images = torch.arange(1.0, 5.0).expand(2, 1, 3, 4)
    assert moved(0)(images).equal(images)
    assert moved(2)(images)[1, 0, 2].tolist() == [0, 0, 1, 2]


@pytest.mark.slow
@pytest.mark.slow
def test_lenet_learns_as_much_with_a_quarter_of_the_weights(desk: Callable[..., Desk]) -> None:
    place = desk("06_images")
    mlp, lenet = (place.train("06_images", run, settings) for run, settings in NETWORKS.values())
    assert lenet.parameters < mlp.parameters / 4
    assert min(accuracy_moved(mlp, 0), accuracy_moved(lenet, 0)) > 0.94
    assert max(accuracy_moved(mlp, 4), accuracy_moved(lenet, 4)) < 0.7
