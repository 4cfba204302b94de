"""Early stopping against its definition: no score better than the best so far by enough, for too long."""

from __future__ import annotations

import json
import math

import pytest

from hilum.training.settings import EarlyStoppingConfig
from hilum.training.stopping import Stillness

NAN = math.nan


def ends_after(scores: list[float], settings: EarlyStoppingConfig, *, higher: bool) -> int | None:
    """The number of validations after which a run ends; the state goes through JSON between any two."""
    state = Stillness()
    for number, score in enumerate(scores, start=1):
        state.add(score, settings, higher_is_better=higher)
        if state.waited >= settings.patience:
            return number
        state = Stillness(**json.loads(json.dumps(state.facts)))
    return None


@pytest.mark.parametrize(
    ("scores", "patience", "min_delta", "higher", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.4], 1, 0.0, True, None),
        ([0.1, 0.3, 0.3, 0.2, 0.1], 2, 0.0, True, 4),  # an equal score is not better
        ([0.1, 0.3, 0.2, 0.31, 0.2, 0.2], 2, 0.0, True, 6),
        ([0.1, 0.3, 0.2, 0.31, 0.2, 0.2], 2, 0.05, True, 4),  # better, but not by enough
        ([0.30, 0.33, 0.36, 0.39], 2, 0.05, True, None),  # small gains add up to enough
        ([9.0, 5.0, 6.0, 7.0], 2, 0.0, False, 4),
        ([NAN, NAN, NAN], 3, 0.0, True, 3),
        ([NAN, 0.5, NAN, 0.6, NAN, NAN], 2, 0.0, True, 6),
    ],
)
def test_it_ends_where_the_definition_says(
    scores: list[float], patience: int, min_delta: float, higher: bool, expected: int | None
) -> None:
    settings = EarlyStoppingConfig(patience=patience, min_delta=min_delta)
    assert ends_after(scores, settings, higher=higher) == expected
