"""Learning curves: a chart for each group of numbers, the best epoch by the monitored score."""

from __future__ import annotations

import re

import pytest

from hilum.report.page.learning import best_epoch, learning_curves

LOG = [
    {"epoch": 0, "train_loss": 1.0, "val_dice": 0.5, "val_hd95": 9.0, "lr": 1e-3, "seconds": 2.0, "waiting": 0.1},
    {"epoch": 1, "train_loss": 0.5, "lr": 1e-4, "seconds": 2.0, "waiting": 0.1},
    {"epoch": 2, "train_loss": 0.4, "val_dice": 0.7, "val_hd95": 9.0, "lr": 1e-5, "seconds": 2.0, "waiting": 0.1},
]


@pytest.mark.parametrize(
    ("monitor", "better", "epoch"),
    [("dice", "higher", 2), ("dice", "lower", 0), ("hd95", "lower", 0), ("hd95", None, None), ("nsd", "higher", None)],
)
def test_the_best_epoch_is_the_first_of_the_best(monitor: str, better: str | None, epoch: float | None) -> None:
    assert best_epoch(LOG, monitor, better) == epoch


def test_a_chart_for_each_group_of_numbers() -> None:
    drawn = learning_curves(LOG, 2)
    assert [one.title for one in drawn] == [
        "Loss", "Validation scores", "Other validation scores", "Learning rate", "Time", "Waiting for data",
    ]  # fmt: skip
    assert "epoch 2: Dice 0.7" in drawn[1].svg
    assert {"0", "1", "2"} <= set(re.findall(r'class="tick" text-anchor="middle">([^<]+)<', str(drawn[0].svg)))


@pytest.mark.parametrize("log", [[], [{"epoch": 0}], [{"epoch": 0, "train_loss": None}]])
def test_a_log_without_numbers_has_no_chart(log: list[dict[str, object]]) -> None:
    assert learning_curves(log, None) == ()


def test_one_epoch_and_equal_values_have_axes() -> None:
    drawn = learning_curves([{"epoch": 0, "train_loss": 0.5, "lr": 0.0, "seconds": 0.0}], 0)
    assert len(drawn) == 3
    assert all("nan" not in one.svg for one in drawn)
    assert re.findall(r'class="tick" text-anchor="middle">([^<]+)<', str(drawn[0].svg)) == ["0"]
