"""Soft Dice by hand on a few voxels."""

import pytest
import torch

from hilum.losses.dice import Dice, DiceConfig
from hilum.problem import IGNORE, Problem

CERTAIN = 40.0


def map_of(*rows: list[int]) -> torch.Tensor:
    return torch.tensor([[row] for row in rows])


def certain(truth: torch.Tensor) -> torch.Tensor:
    return CERTAIN * torch.stack([truth == 0, truth == 1], dim=1).float()


def test_half_of_a_structure_found() -> None:
    """Two of four voxels found, none invented: Dice 2 * 2 / (4 + 2)."""
    guess = certain(map_of([1, 1, 0, 0, 0]))
    assert Dice(exclusive=True)(guess, map_of([1, 1, 1, 1, 0])).item() == pytest.approx(1 / 3, abs=1e-4)


def test_ignored_voxels_count_neither_as_found_nor_as_missed() -> None:
    """The ignored voxel is predicted as structure: it does not enter the predicted volume."""
    guess = certain(map_of([1, 1, 0, 0, 1]))
    truth = map_of([1, 1, 1, 1, IGNORE])
    assert Dice(exclusive=True)(guess, truth).item() == pytest.approx(1 / 3, abs=1e-4)


def test_batch_sums_volumes_before_the_ratio() -> None:
    """A found structure of 1 voxel and a missed one of 4: per sample (0 + 1) / 2, together 1 - 2 / (5 + 1)."""
    guess = certain(map_of([1, 0, 0, 0], [0, 0, 0, 0]))
    truth = map_of([1, 0, 0, 0], [1, 1, 1, 1])
    assert Dice(exclusive=True)(guess, truth).item() == pytest.approx(1 / 2, abs=1e-4)
    assert Dice(exclusive=True, batch=True)(guess, truth).item() == pytest.approx(1 - 2 / 6, abs=1e-4)


def test_background_counts_on_request() -> None:
    """Foreground costs 1/3 as above; background 1 - 2 * 1 / (3 + 1) = 1/2."""
    guess, truth = certain(map_of([1, 1, 0, 0, 0])), map_of([1, 1, 1, 1, 0])
    value = Dice(exclusive=True, background=True)(guess, truth).item()
    assert value == pytest.approx((1 / 3 + 1 / 2) / 2, abs=1e-4)


def test_only_for_segmentation() -> None:
    classes, values = ("normal", "pneumonia"), ((0,), (1,))
    problem = Problem("classification", 2, channels=("image",), classes=classes, values=values)
    assert DiceConfig().faults(problem) == ["loss 'dice' is for segmentation, the task is classification"]
