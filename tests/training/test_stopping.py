"""Early stopping against its definition, and the lowering of the rate at a plateau against torch's scheduler."""

from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hilum.optim.schedules import PlateauConfig
from hilum.training.settings import EarlyStoppingConfig
from hilum.training.stopping import Lowering, Stillness

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


@given(
    scores=st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5]), max_size=25),
    patience=st.integers(1, 4),
    min_delta=st.sampled_from([0.0, 0.15]),
    higher=st.booleans(),
)
def test_a_plateau_lowers_the_rate_when_torchs_scheduler_does(
    scores: list[float], patience: int, min_delta: float, higher: bool
) -> None:
    """Theirs waits for one validation more than its patience; our state goes through JSON between any two."""
    settings = PlateauConfig(patience=patience, min_delta=min_delta, gamma=0.5, floor=0.1)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer,
        "max" if higher else "min",
        factor=0.5,
        patience=patience - 1,
        threshold=min_delta,
        threshold_mode="abs",
        min_lr=0.1,
        eps=0.0,
    )
    state = Lowering()
    for score in scores:
        theirs.step(score)
        state.add(score, settings, higher_is_better=higher)
        state = Lowering.from_facts(json.loads(json.dumps(state.facts)))
        assert settings.lowered(state.drops) == pytest.approx(optimizer.param_groups[0]["lr"])
