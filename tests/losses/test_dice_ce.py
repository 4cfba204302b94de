"""The sum of Dice and cross-entropy is that of its parts, for classes and for regions."""

import pytest
import torch

from hilum.losses.bce import BinaryCrossEntropyConfig
from hilum.losses.cross_entropy import CrossEntropyConfig
from hilum.losses.dice import DiceConfig
from hilum.losses.dice_ce import DiceCrossEntropyConfig
from hilum.problem import IGNORE, Problem


def problem(*, exclusive: bool) -> Problem:
    classes, values = ("a", "b", "c"), ((0,), (1,), (2,))
    return Problem("segmentation", 2, channels=("image",), classes=classes, values=values, exclusive=exclusive)


@pytest.mark.parametrize("exclusive", [True, False])
def test_sum_of_its_parts(exclusive: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=generator)
    shape = (2, 4, 5) if exclusive else (2, 3, 4, 5)
    targets = torch.randint(IGNORE, 3 if exclusive else 2, shape, generator=generator)
    weights = {"b": 4.0}
    config = DiceCrossEntropyConfig(dice_weight=0.5, ce_weight=2.0, class_weights=weights, batch=True)
    dice = DiceConfig(batch=True).build(problem(exclusive=exclusive))
    entropy = CrossEntropyConfig(class_weights=weights) if exclusive else BinaryCrossEntropyConfig(pos_weight=weights)
    expected = 0.5 * dice(logits, targets) + 2 * entropy.build(problem(exclusive=exclusive))(logits, targets)
    torch.testing.assert_close(config.build(problem(exclusive=exclusive))(logits, targets), expected)


def test_settings_that_cannot_apply_are_refused() -> None:
    config = DiceCrossEntropyConfig(label_smoothing=0.1, dice_weight=0, ce_weight=0, class_weights={"x": 1.0})
    faults = config.faults(problem(exclusive=False))
    assert [fault.split(":")[0] for fault in faults] == [
        "class_weights",
        "label_smoothing",
        "dice_weight and ce_weight",
    ]
