"""Weights by class found in the training part: against scikit-learn, and what they do to a loss."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from hilum.errors import DataError
from hilum.losses.base import LossConfig, balanced
from hilum.losses.bce import BinaryCrossEntropyConfig
from hilum.losses.cross_entropy import CrossEntropyConfig
from hilum.losses.dice import DiceConfig
from hilum.losses.dice_ce import DiceCrossEntropyConfig
from hilum.losses.focal import FocalConfig
from hilum.problem import Problem
from hilum.registry import parse

CLASSES = Problem("segmentation", 3, ("image",), ("background", "organ", "lesion"), ((0,), (1,), (2,)))
REGIONS = Problem("segmentation", 3, ("image",), ("whole", "core"), ((1, 2), (2,)), exclusive=False)
WITH_WEIGHTS: list[tuple[Any, Problem]] = [
    (CrossEntropyConfig, CLASSES),
    (FocalConfig, CLASSES),
    (DiceCrossEntropyConfig, CLASSES),
    (FocalConfig, REGIONS),
    (DiceCrossEntropyConfig, REGIONS),
    (BinaryCrossEntropyConfig, REGIONS),
]


def unfitted(config: Any) -> LossConfig:
    loss = config(**{config.balanced_field: "balanced"})
    assert isinstance(loss, LossConfig)
    return loss


def test_exclusive_classes_weigh_as_in_scikit_learn() -> None:
    labels = np.random.default_rng(1).choice(3, 5000, p=[0.9, 0.08, 0.02])
    inside = np.bincount(labels)
    weights = balanced(inside, np.full(3, labels.size), CLASSES)
    oracle = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert list(weights) == ["background", "organ", "lesion"]
    np.testing.assert_allclose(list(weights.values()), oracle, rtol=1e-5)


def test_a_region_weighs_what_is_outside_over_what_is_inside() -> None:
    assert balanced(np.array([20, 10]), np.array([70, 90]), REGIONS) == {"whole": 2.5, "core": 8}


def test_all_classes_then_have_the_same_share_of_a_cross_entropy() -> None:
    targets = torch.from_numpy(np.random.default_rng(2).choice(3, (1, 10, 10, 10), p=[0.9, 0.08, 0.02]))
    inside = np.bincount(targets.flatten().numpy())
    loss = unfitted(CrossEntropyConfig).fitted_to(inside, np.full(3, targets.numel()), CLASSES).build(CLASSES)
    logits = torch.zeros(1, 3, 10, 10, 10, requires_grad=True)
    loss(logits, targets).backward()
    assert logits.grad is not None
    shares = [float(logits.grad[:, label][targets == label].sum()) for label in range(3)]
    np.testing.assert_allclose(shares, np.full(3, shares[0]), rtol=1e-4)  # of the pull towards the true class


@pytest.mark.parametrize(("config", "problem"), WITH_WEIGHTS)
def test_every_loss_with_weights_takes_balanced_ones_as_if_they_were_written(config: Any, problem: Problem) -> None:
    loss, k = unfitted(config), problem.num_outputs
    assert loss.needs_fit
    assert loss.faults(problem) == []
    with pytest.raises(DataError, match="yet to be found in a training part"):
        loss.build(problem)
    inside, seen = np.arange(1, k + 1) * 100, np.full(k, 1000)
    fitted = loss.fitted_to(inside, seen, problem)
    assert not fitted.needs_fit
    written = config(**{config.balanced_field: balanced(inside, seen, problem)})
    assert fitted == written == parse("losses", fitted.model_dump(mode="json"))
    torch.manual_seed(1)
    logits = torch.randn(2, k, 4, 4, 4)
    shape = (2, 4, 4, 4) if problem.exclusive else (2, k, 4, 4, 4)
    targets = torch.randint(0, k if problem.exclusive else 2, shape)
    assert torch.equal(fitted.build(problem)(logits, targets), written.build(problem)(logits, targets))
    assert not torch.equal(fitted.build(problem)(logits, targets), config().build(problem)(logits, targets))


def test_a_class_that_the_training_part_does_not_show_is_named() -> None:
    with pytest.raises(DataError, match="the training part shows no organ, lesion: give the weights as numbers"):
        unfitted(CrossEntropyConfig).fitted_to(np.array([10, 0, 0]), np.full(3, 10), CLASSES)


def test_a_region_that_is_everywhere_is_named() -> None:
    """It would weigh 0: nothing would be learnt of it, and no configuration could say so."""
    with pytest.raises(DataError, match="the training part shows nothing without whole: give the weights as numbers"):
        unfitted(BinaryCrossEntropyConfig).fitted_to(np.array([10, 4]), np.full(2, 10), REGIONS)


def test_a_loss_without_weights_needs_no_fit() -> None:
    assert not DiceConfig().needs_fit
    assert not CrossEntropyConfig(class_weights={"organ": 2.0}).needs_fit
