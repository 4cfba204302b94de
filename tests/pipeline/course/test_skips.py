"""Rung 10: with its skip connections the U-Net finds membranes better."""

from collections.abc import Callable

import pytest

from hilum.pipeline.course.desk import Desk
from hilum.pipeline.course.skips import NETWORKS


@pytest.mark.slow
@pytest.mark.slow
def test_skip_connections_carry_detail(desk: Callable[..., Desk]) -> None:
    place = desk("10_skips", "train.epochs=20")
    without, joined = (place.train("10_skips", run, settings) for run, settings in NETWORKS.values())
    assert joined.curve("val_dice")[1][-1] > without.curve("val_dice")[1][-1] + 0.05
