"""Our cross-entropies against torch's, on the targets that are not ignored."""

import pytest
import torch
from torch.nn import functional

from hilum.losses.bce import BinaryCrossEntropy
from hilum.losses.cross_entropy import CrossEntropy
from hilum.losses.focal import Focal
from hilum.problem import IGNORE

SHAPE = (2, 3, 4, 5, 6)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(21)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [0.2, 1.0, 3.0]])
def test_cross_entropy(smoothing: float, weights: list[float]) -> None:
    logits = torch.randn(SHAPE, generator=generator())
    targets = torch.randint(IGNORE, 3, (2, 4, 5, 6), generator=generator())
    theirs = functional.cross_entropy(
        logits, targets, torch.tensor(weights), ignore_index=IGNORE, label_smoothing=smoothing
    )
    torch.testing.assert_close(CrossEntropy(weights, label_smoothing=smoothing)(logits, targets), theirs)


def test_binary_cross_entropy() -> None:
    logits = torch.randn(SHAPE, generator=generator())
    targets = torch.randint(IGNORE, 2, SHAPE, generator=generator())
    weights = torch.tensor([1.0, 2.0, 5.0])
    seen = targets != IGNORE
    theirs = functional.binary_cross_entropy_with_logits(
        logits[seen], targets[seen].float(), pos_weight=weights.view(1, 3, 1, 1, 1).expand(SHAPE)[seen]
    )
    torch.testing.assert_close(BinaryCrossEntropy(weights.tolist())(logits, targets), theirs)


def test_focal_with_exponent_0_is_cross_entropy() -> None:
    logits = torch.randn(SHAPE, generator=generator())
    targets = torch.randint(IGNORE, 3, (2, 4, 5, 6), generator=generator())
    theirs = functional.cross_entropy(logits, targets, ignore_index=IGNORE)
    torch.testing.assert_close(Focal(exclusive=True, gamma=0.0)(logits, targets), theirs)
