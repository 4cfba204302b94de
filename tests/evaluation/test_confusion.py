"""Overlaps by label value, against the rows that an evaluation writes."""

import numpy as np
import pytest

from hilum.evaluation.confusion import Overlaps
from hilum.evaluation.rows import CaseKey, segmentation_rows
from hilum.metrics.dice import DiceMetric
from hilum.problem import Problem
from hilum.volume import Grid

GRID = Grid((6, 5, 4), np.eye(4))
EXCLUSIVE = Problem(
    "segmentation",
    3,
    ("scan",),
    classes=("background", "organ", "lesion", "never"),
    values=((0,), (1, 4), (2,), (9,)),
    ignore=255,
)
REGIONS = Problem(
    "segmentation", 3, ("scan",), classes=("whole", "core"), values=((1, 2, 4), (1, 4)), exclusive=False, ignore=255
)


@pytest.mark.parametrize("problem", [EXCLUSIVE, REGIONS], ids=["exclusive", "regions"])
def test_dice_is_that_of_the_rows_also_after_a_part_changed(problem: Problem) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        truth = rng.choice(np.array([0, 0, 1, 2, 4, 255], dtype=np.uint8), GRID.shape)
        labels = rng.choice(np.array([0, 0, 1, 2], dtype=np.uint8), GRID.shape)
        overlaps = Overlaps.of(truth, labels, problem)
        changed = labels.copy()
        box = (slice(1, 5), slice(0, 3), slice(2, 4))
        changed[box] = rng.choice(np.array([0, 1, 2], dtype=np.uint8), (4, 3, 2))
        for received, predicted in (
            (overlaps, labels),
            (overlaps.exchanged(truth[box], before=labels[box], after=changed[box]), changed),
        ):
            rows = segmentation_rows(
                CaseKey("a", "a", "val"), truth, predicted=predicted, problem=problem, grid=GRID, metrics=[DiceMetric()]
            )
            assert received.dice.tolist() == [row["dice"] for row in rows]
