"""Binary cross-entropy by hand on a few numbers, and the problems it refuses."""

import math

import pytest
import torch

from hilum.losses.bce import BinaryCrossEntropyConfig
from hilum.problem import IGNORE, Problem


def problem(*, exclusive: bool = False) -> Problem:
    classes, values = ("whole", "core"), ((1, 2), (2,))
    return Problem("segmentation", 2, channels=("image",), classes=classes, values=values, exclusive=exclusive)


def test_positive_weight_by_name() -> None:
    """p = 1/2 outside the first region and inside the second, of weight 5; one voxel ignored: (ln 2 + 5 ln 2) / 2."""
    targets = torch.tensor([[[[0, IGNORE]], [[1, IGNORE]]]])
    loss = BinaryCrossEntropyConfig(pos_weight={"core": 5.0}).build(problem())
    assert loss(torch.zeros(1, 2, 1, 2), targets).item() == pytest.approx(3 * math.log(2))


def test_unknown_region_and_exclusive_classes_are_refused() -> None:
    faults = BinaryCrossEntropyConfig(pos_weight={"cores": 2.0}).faults(problem(exclusive=True))
    assert len(faults) == 2
    assert "did you mean 'core'?" in faults[0]
    assert "'cross_entropy'" in faults[1]
