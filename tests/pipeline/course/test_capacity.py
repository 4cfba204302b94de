"""Rung 4: the large network learns its points by heart, at the cost of others."""

from collections.abc import Callable

import pytest

from hilum.pipeline.course.capacity import best_epoch
from hilum.pipeline.course.desk import Desk


@pytest.mark.slow
def test_a_large_network_overfits_and_the_best_epoch_is_kept(desk: Callable[..., Desk]) -> None:
    short = ["train.epochs=100", "optimizer.lr=0.01", "data.batch_size=60"]
    trained = desk("04_capacity").train("04_capacity", "large", short)
    train, val = trained.curve("train_loss")[1], trained.curve("val_loss")[1]
    assert train[-1] < 0.1
    assert val[-1] > 2 * min(val)
    accuracies = trained.curve("val_accuracy")[1]
    assert accuracies[best_epoch(trained) - 1] == max(accuracies)
