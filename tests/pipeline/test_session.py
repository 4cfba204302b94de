"""Where a run goes on when the size of its batches was changed: after the samples it has seen, or it is refused."""

from __future__ import annotations

import pytest

from hilum.errors import CheckpointError
from hilum.pipeline.session import rebatched

HALFWAY = {"epoch": 3, "batch": 6, "step": 40, "loss_sum": 4.5, "skipped": 2, "skips_in_row": 0}


def test_smaller_batches_count_the_same_samples_and_keep_the_mean_loss() -> None:
    found = rebatched(HALFWAY, 4, 2)
    assert (found["batch"] * 2, found["skipped"] * 2) == (6 * 4, 2 * 4)
    assert found["loss_sum"] / (found["batch"] - found["skipped"]) == 4.5 / (6 - 2)
    assert {name: found[name] for name in ("epoch", "step")} == {"epoch": 3, "step": 40}


@pytest.mark.parametrize(("before", "now"), [(4, 4), (None, 2)])
def test_the_same_size_changes_nothing(before: int | None, now: int) -> None:
    assert rebatched(HALFWAY, before, now) == HALFWAY


def test_between_two_epochs_any_size_will_do() -> None:
    start = {"epoch": 3, "batch": 0, "step": 40, "loss_sum": 0.0}
    assert rebatched(start, 4, 7) == start


def test_a_size_that_does_not_come_out_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"data\.batch_size: received 7, .* after 24 samples"):
        rebatched(HALFWAY, 4, 7)
