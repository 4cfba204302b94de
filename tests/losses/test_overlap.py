"""Losses of overlap and distance, by hand on a few voxels."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.losses.base import counted_over
from hilum.losses.boundary import Boundary
from hilum.losses.cldice import CentrelineDice, soft_skeleton
from hilum.losses.dice import Dice
from hilum.losses.dice_focal import DiceFocalConfig
from hilum.losses.distance_maps import distance_maps, signed, unsigned
from hilum.losses.focal_tversky import FocalTverskyConfig
from hilum.losses.generalised_dice import GeneralisedDice
from hilum.losses.hausdorff import Hausdorff
from hilum.losses.tversky import Tversky, TverskyConfig
from hilum.problem import Problem

CERTAIN = 40.0


def map_of(*rows: list[int]) -> torch.Tensor:
    return torch.tensor([[row] for row in rows])


def certain(truth: torch.Tensor, *, classes: int = 2) -> torch.Tensor:
    return CERTAIN * torch.stack([truth == index for index in range(classes)], dim=1).float()


def problem(*, exclusive: bool = True) -> Problem:
    return Problem("segmentation", 2, channels=("scan",), classes=("a", "b"), values=((0,), (1,)), exclusive=exclusive)


GUESS, TRUTH = map_of([1, 1, 0, 0, 1]), map_of([1, 1, 1, 0, 0])
"""Two voxels found, one missed, one invented."""


@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.7), (0.5, 0.5), (1.0, 1.0), (0.0, 1.0)])
def test_tversky_weighs_what_is_missed_and_invented(alpha: float, beta: float) -> None:
    value = Tversky(exclusive=True, weights=(alpha, beta))(certain(GUESS), TRUTH).item()
    assert value == pytest.approx(1 - 2 / (2 + alpha + beta), abs=1e-4)


def test_tversky_of_halves_is_dice() -> None:
    guess = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    truth = torch.randint(0, 3, (2, 4, 5), generator=torch.Generator().manual_seed(2))
    ours = Tversky(exclusive=True, weights=(0.5, 0.5), smooth=0.05)(guess, truth)
    torch.testing.assert_close(ours, Dice(exclusive=True, smooth=0.1)(guess, truth))


def test_focal_tversky_is_a_power_of_each_class() -> None:
    value = FocalTverskyConfig(gamma=0.75).build(problem())(certain(GUESS), TRUTH).item()
    assert value == pytest.approx((1 / 3) ** 0.75, abs=1e-4)


def test_focal_tversky_of_a_perfect_answer_has_a_finite_gradient() -> None:
    guess = certain(TRUTH).requires_grad_()
    value = FocalTverskyConfig().build(problem())(guess, TRUTH)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6)
    assert guess.grad is not None
    assert torch.isfinite(guess.grad).all()


def test_tversky_without_weights_is_refused() -> None:
    assert "both are 0" in TverskyConfig(alpha=0, beta=0).faults(problem())[0]


def test_generalised_dice_weighs_by_the_square_of_the_volume() -> None:
    """4 voxels of background and 2 of organ, one of them missed: overlaps 4 and 1, volumes 4 + 5 and 2 + 1."""
    guess, truth = map_of([0, 0, 0, 0, 0, 1]), map_of([0, 0, 0, 0, 1, 1])
    weights = (1 / 16, 1 / 4)
    expected = 1 - 2 * (4 * weights[0] + weights[1]) / (9 * weights[0] + 3 * weights[1])
    assert GeneralisedDice(exclusive=True)(certain(guess), truth).item() == pytest.approx(expected, abs=1e-4)


def test_generalised_dice_gives_an_absent_class_the_weight_of_the_rarest() -> None:
    """Class 2 is nowhere, and predicted in one voxel of background."""
    guess, truth = map_of([2, 0, 0, 0, 1]), map_of([0, 0, 0, 0, 1])
    expected = 1 - 2 * (3 / 16 + 1) / (7 / 16 + 2 + 1)
    value = GeneralisedDice(exclusive=True)(certain(guess, classes=3), truth).item()
    assert value == pytest.approx(expected, abs=1e-4)


def test_dice_focal_is_the_sum_of_its_parts() -> None:
    guess = torch.randn(2, 2, 4, 5, generator=torch.Generator().manual_seed(1))
    truth = torch.randint(0, 2, (2, 4, 5), generator=torch.Generator().manual_seed(2))
    value = DiceFocalConfig(dice_weight=2, focal_weight=3, gamma=0).build(problem())(guess, truth)
    entropy = torch.nn.functional.cross_entropy(guess, truth)
    torch.testing.assert_close(value, 2 * Dice(exclusive=True)(guess, truth) + 3 * entropy)


def test_boundary_counts_voxels_from_the_border() -> None:
    """A structure of the voxels 0 to 2, whose last one has distance 0: missing voxel 0 costs 2, inventing voxel 4 2."""
    loss = Boundary(exclusive=True)
    truth = map_of([1, 1, 1, 0, 0])
    assert loss(certain(truth), truth).item() == pytest.approx(0, abs=1e-6)
    assert loss(certain(map_of([0, 1, 1, 0, 0])), truth).item() == pytest.approx(2 / 5, abs=1e-4)
    assert loss(certain(map_of([1, 1, 1, 0, 1])), truth).item() == pytest.approx(2 / 5, abs=1e-4)
    assert loss(certain(map_of([1, 1, 0, 0, 0])), truth).item() == pytest.approx(0, abs=1e-4)


def test_hausdorff_counts_squares_of_distances_to_both_borders() -> None:
    """Voxel 4 is invented: 2 from the truth (voxels 0 to 2), and 1 from what the prediction leaves out."""
    truth = map_of([1, 1, 1, 0, 0])
    value = Hausdorff(exclusive=True)(certain(map_of([1, 1, 1, 0, 1])), truth).item()
    assert value == pytest.approx((2**2 + 1**2) / 5, abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), min_size=12, max_size=12))
def test_distance_maps_against_brute_force(voxels: list[bool]) -> None:
    mask = np.array(voxels).reshape(3, 4)
    points = list(itertools.product(range(3), range(4)))

    def away(point: tuple[int, int], side: bool) -> float:
        return min(math.dist(point, other) for other in points if mask[other] == side)

    expected = {"signed": np.zeros((3, 4)), "unsigned": np.zeros((3, 4))}
    if mask.any() and not mask.all():
        for point in points:
            outside, inside = away(point, True), away(point, False)
            expected["signed"][point] = 1 - inside if mask[point] else outside
            expected["unsigned"][point] = outside + inside
    given_mask = torch.from_numpy(mask)[None, None]
    for name, of in (("signed", signed), ("unsigned", unsigned)):
        assert distance_maps(given_mask, of)[0, 0].numpy() == pytest.approx(expected[name], abs=1e-5)


def test_the_skeleton_of_a_bar_is_its_middle() -> None:
    bar = torch.zeros(1, 1, 7, 13)
    bar[:, :, 2:5, 2:11] = 1
    line = soft_skeleton(bar, 3)[0, 0]
    assert line[3, 3:10].min() == 1
    assert line[[0, 1, 5, 6]].max() == 0
    assert line.sum() < bar.sum() / 2


def test_a_cut_vessel_costs_more_than_a_thin_one() -> None:
    """Both lack as many voxels, so that Dice tells them apart in the wrong direction or not at all."""
    truth = torch.zeros(1, 9, 21, dtype=torch.long)
    truth[:, 3:6, 1:20] = 1
    thin, cut = truth.clone(), truth.clone()
    thin[:, 5, 1:20] = 0
    cut[:, 3:6, 4:10] = 0
    loss, dice = CentrelineDice(exclusive=True), Dice(exclusive=True)
    assert loss(certain(cut), truth) > 2 * loss(certain(thin), truth)
    assert dice(certain(cut), truth) < dice(certain(thin), truth)


@pytest.mark.parametrize(
    "loss",
    [
        Tversky(exclusive=True, batch=True),
        GeneralisedDice(exclusive=True, batch=True),
        CentrelineDice(exclusive=True, batch=True),
        Boundary(exclusive=True),
        Hausdorff(exclusive=True),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_the_mean_over_ranks_is_the_loss_of_the_whole_batch(loss: torch.nn.Module) -> None:
    """Two ranks in turn: what each would sum over both is put in from outside. One of four samples is ignored."""
    guess = torch.randn(4, 2, 5, 6, generator=torch.Generator().manual_seed(1))
    truth = torch.randint(0, 2, (4, 5, 6), generator=torch.Generator().manual_seed(2))
    truth[0] = -1
    whole = loss(guess, truth)
    sums: list[list[torch.Tensor]] = [[], []]
    for rank in (0, 1):

        def record(value: torch.Tensor, rank: int = rank) -> torch.Tensor:
            sums[rank].append(value)
            return value

        with counted_over(record, 2):
            loss(guess[2 * rank : 2 * rank + 2], truth[2 * rank : 2 * rank + 2])
    totals = [one + other for one, other in zip(*sums, strict=True)]
    shares = []
    for rank in (0, 1):
        following = iter(totals)
        with counted_over(lambda value, following=following: next(following), 2):  # type: ignore[misc]
            shares.append(loss(guess[2 * rank : 2 * rank + 2], truth[2 * rank : 2 * rank + 2]))
    torch.testing.assert_close(sum(shares) / 2, whole)
