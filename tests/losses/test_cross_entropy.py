"""Cross-entropy by hand on a few numbers, and the problems it refuses."""

import math

import pytest
import torch

from hilum.losses.cross_entropy import CrossEntropyConfig
from hilum.problem import IGNORE, Problem


def problem(*, exclusive: bool = True) -> Problem:
    classes, values = ("normal", "benign", "malignant"), ((0,), (1,), (2,))
    return Problem("classification", 2, channels=("image",), classes=classes, values=values, exclusive=exclusive)


def test_class_weights_by_name() -> None:
    """Two samples with p = 1/2 and 1/4 on their truth, of weights 1 and 3: (ln 2 + 3 ln 4) / 4."""
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
    loss = CrossEntropyConfig(class_weights={"malignant": 3.0}).build(problem())
    value = loss(logits, torch.tensor([0, 2, IGNORE]))
    assert value.item() == pytest.approx((math.log(2) + 3 * math.log(4)) / 4)


def test_a_class_of_weight_0_alone_costs_nothing() -> None:
    loss = CrossEntropyConfig(class_weights={"normal": 0.0}).build(problem())
    assert loss(torch.randn(2, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 0])) == 0


def test_unknown_class_is_refused_with_the_nearest() -> None:
    faults = CrossEntropyConfig(class_weights={"malign": 2.0}).faults(problem())
    assert len(faults) == 1
    assert "'malign'" in faults[0]
    assert "did you mean 'malignant'?" in faults[0]


def test_weights_of_0_for_every_class_are_refused() -> None:
    weights = dict.fromkeys(problem().classes, 0.0)
    (fault,) = CrossEntropyConfig(class_weights=weights).faults(problem())
    assert fault.startswith("class_weights: is 0 for every class")
    weights[problem().classes[0]] = 1.0
    assert CrossEntropyConfig(class_weights=weights).faults(problem()) == []


def test_regions_are_refused() -> None:
    assert "'bce'" in CrossEntropyConfig().faults(problem(exclusive=False))[0]
