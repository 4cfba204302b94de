"""What a pair of masks knows: its status, its counts, the diagonal of its image."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.errors import DataError
from hilum.metrics.pair import MaskPair

EMPTY, FULL = np.zeros((3, 4, 12), dtype=bool), np.ones((3, 4, 12), dtype=bool)


@pytest.mark.parametrize(
    ("truth", "predicted", "status"),
    [(FULL, FULL, "found"), (FULL, EMPTY, "missed"), (EMPTY, FULL, "invented"), (EMPTY, EMPTY, "absent")],
)
def test_status(truth: np.ndarray, predicted: np.ndarray, status: str) -> None:
    assert MaskPair(truth, predicted, (1, 1, 1)).status == status


def test_structures_that_do_not_touch_are_found_at_a_distance() -> None:
    truth, predicted = EMPTY.copy(), EMPTY.copy()
    truth[0, 0, 0] = predicted[0, 0, 5] = True
    pair = MaskPair(truth, predicted, (1, 1, 2))
    assert (pair.status, pair.shared_voxels) == ("found", 0)
    assert pair.distances.first_to_second.tolist() == [10.0]


def test_diagonal_runs_from_corner_to_corner() -> None:
    assert MaskPair(EMPTY, FULL, (1, 1, 1)).diagonal == 13
    assert MaskPair(EMPTY, FULL, (2, 2, 2)).diagonal == 26


def test_diagonal_of_an_image_lies_in_its_plane() -> None:
    image = np.zeros((30, 40, 1), dtype=bool)
    assert MaskPair(image, image, (1, 1, 7), "pixel").diagonal == 50


def test_masks_of_two_grids_are_refused() -> None:
    with pytest.raises(DataError, match="one grid"):
        MaskPair(FULL, FULL[:2], (1, 1, 1))
