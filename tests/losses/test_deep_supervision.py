"""The loss over several resolutions: weights in closed form, targets as torch's own nearest neighbour has them."""

import pytest
import torch
from torch.nn import functional

from hilum.losses.deep_supervision import DeepSupervision, halving_weights, reduced
from hilum.losses.dice_ce import DiceCrossEntropyConfig
from hilum.problem import IGNORE, Problem


def problem(*, exclusive: bool = True) -> Problem:
    classes, values = ("background", "organ", "lesion"), ((0,), (1,), (2,))
    return Problem("segmentation", 3, ("scan",), classes=classes, values=values, exclusive=exclusive)


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_weights_halve_and_sum_to_one(count: int) -> None:
    assert halving_weights(count) == pytest.approx([2**-level / (2 - 2 ** (1 - count)) for level in range(count)])


@pytest.mark.parametrize("shape", [(4, 12), (3, 4), (12, 2), (1, 3), (6, 10, 4), (2, 5, 8), (2, 1, 8)])
@pytest.mark.parametrize("regions", [False, True])
def test_reduced_targets_are_those_of_torchs_nearest_exact(shape: tuple[int, ...], regions: bool) -> None:
    fine = (12, 12) if len(shape) == 2 else (6, 10, 8)
    targets = torch.randint(-1, 3, (2, *([3] if regions else []), *fine), generator=torch.Generator().manual_seed(1))
    channels = targets.double() if regions else targets[:, None].double()
    expected = functional.interpolate(channels, shape, mode="nearest-exact").long()
    assert torch.equal(reduced(targets, shape), expected if regions else expected[:, 0])


@pytest.mark.parametrize("exclusive", [True, False])
def test_the_loss_is_the_weighted_sum_over_the_resolutions(exclusive: bool) -> None:
    draw = torch.Generator().manual_seed(2)
    inner = DiceCrossEntropyConfig().build(problem(exclusive=exclusive))
    targets = torch.randint(0, 3 if exclusive else 2, (2, *([] if exclusive else [3]), 8, 8, 4), generator=draw)
    targets[..., :3, 2, 1] = IGNORE
    logits = [torch.randn(2, 3, *size, generator=draw) for size in ((8, 8, 4), (4, 4, 4), (2, 2, 2))]
    fine, middle, coarse = (
        inner(each, targets[..., offset::step, offset::step, depth::deep])
        for each, offset, step, depth, deep in zip(logits, (0, 1, 2), (1, 2, 4), (0, 0, 1), (1, 1, 2), strict=True)
    )
    received = DeepSupervision(inner)(tuple(logits), targets)
    torch.testing.assert_close(received, (4 * fine + 2 * middle + coarse) / 7)


def test_one_resolution_is_the_loss_itself() -> None:
    inner = DiceCrossEntropyConfig().build(problem())
    logits, targets = torch.randn(2, 3, 4, 4, 4), torch.randint(0, 3, (2, 4, 4, 4))
    assert torch.equal(DeepSupervision(inner)(logits, targets), inner(logits, targets))
    torch.testing.assert_close(DeepSupervision(inner)((logits,), targets), inner(logits, targets))
