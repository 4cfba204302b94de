"""Rung 9: at the same depth, the network with shortcuts trains better."""

from collections.abc import Callable

import pytest

from hilum.pipeline.course.desk import Desk


@pytest.mark.slow
def test_a_deep_network_trains_better_with_shortcuts(desk: Callable[..., Desk]) -> None:
    place = desk("09_residual", "train.epochs=3", "network.depth=50")
    plain = place.train("09_residual", "plain", ["network.shortcuts=false"])
    residual = place.train("09_residual", "residual")
    assert residual.curve("train_loss")[1][-1] < 0.8 * plain.curve("train_loss")[1][-1]
