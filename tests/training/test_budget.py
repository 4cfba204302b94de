"""A time becomes the most steps that end within it, as counting the seconds one by one finds, too."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.errors import ConfigError
from hilum.training.budget import Budget, Costs, budget_of

SECONDS = st.floats(0.01, 3.0)


def lived_through(budget_s: float, costs: Costs, steps_per_epoch: int, validate_every: int) -> int:
    """The steps of the longest run that ends in time, found by adding up what happens, run by run."""
    most = 0
    for length in range(1, int(budget_s / costs.step_s) + 2):
        clock = costs.measuring_s
        for step in range(length):
            clock += costs.step_s
            epoch, last = step // steps_per_epoch, step == length - 1
            if last or (step + 1) % steps_per_epoch == 0:
                clock += costs.epoch_s
                clock += costs.validation_s if last or (epoch + 1) % validate_every == 0 else 0.0
        if clock > budget_s * (1 + 1e-12):
            break
        most = length
    return most


@given(SECONDS, SECONDS, SECONDS, SECONDS, st.integers(1, 7), st.integers(1, 4), st.floats(0.2, 0.7))
def test_the_most_steps_that_end_in_time(
    step_s: float, epoch_s: float, validation_s: float, measuring_s: float, epoch: int, every: int, minutes: float
) -> None:
    costs = Costs(max(step_s, 0.2), epoch_s, validation_s, measuring_s)
    budget = budget_of(minutes, costs, steps_per_epoch=epoch, validate_every=every)
    assert budget.steps == lived_through(minutes * 60, costs, epoch, every)


def test_a_time_too_short_for_anything_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"train\.minutes: received 0\.1, .* take 0\.53 min: give more time"):
        budget_of(0.1, Costs(10.0, 1.0, 20.0, 1.0), steps_per_epoch=5, validate_every=1)


def test_a_checkpoint_keeps_it() -> None:
    budget = Budget(30.0, 5312, Costs(0.31, 0.1 + 0.2, 4.125, 9.0))
    assert Budget.from_facts(json.loads(json.dumps(budget.facts))) == budget
    assert "30 min are 5312 steps" in str(budget)
