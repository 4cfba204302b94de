"""The settings that a sweep chooses: the same for the same seed and history, within their ranges, never one twice."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from hilum.pipeline.sweeping.proposals import propose
from hilum.pipeline.sweeping.space import space_of
from hilum.random import torch_seed
from hilum.training.sweep_section import SweepConfig

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

SPACE = {"lr": {"low": 1e-4, "high": 1.0, "log": True}, "depth": {"low": 2, "high": 5}, "width": [[4, 8], "wide"]}


def section(**settings: Any) -> SweepConfig:
    return SweepConfig.model_validate({"space": SPACE, "startup": 4, **settings})


def chosen(sweep: SweepConfig, count: int) -> list[dict[str, Any]]:
    """The settings of `count` trials, one after the other, scored by how near they come to lr = 0.01 and depth = 3."""
    from optuna.trial import create_trial

    space = space_of(sweep)
    known: list[FrozenTrial] = []
    for slot in range(count):
        drawn = propose(sweep, space, slot=slot, known=known, better="lower")
        score = abs(math.log10(drawn.get("lr", 0.01)) + 2) + abs(drawn.get("depth", 3) - 3)
        distributions = {axis.key: axis.distribution for axis in space.axes}
        known.append(create_trial(params=drawn, distributions=distributions, value=score))
    return [trial.params for trial in known]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_same_seed_chooses_the_same(sampler: str) -> None:
    first = chosen(section(sampler=sampler), 12)
    assert chosen(section(sampler=sampler), 12) == first
    assert chosen(section(sampler=sampler, seed=18), 12) != first
    for drawn in first:
        assert 1e-4 <= drawn["lr"] <= 1.0
        assert drawn["depth"] in {2, 3, 4, 5}
        assert drawn["width"] in {json.dumps([4, 8]), "wide"}


def test_random_settings_are_those_of_optunas_own_sampler() -> None:
    import optuna

    sweep = section(sampler="random")
    distributions = {axis.key: axis.distribution for axis in space_of(sweep).axes}
    for slot, drawn in enumerate(chosen(sweep, 3)):
        sampler = optuna.samplers.RandomSampler(seed=torch_seed(sweep.seed, 0, slot, "sweep") % 2**32)
        assert optuna.create_study(sampler=sampler).ask(distributions).params == drawn


def test_tpe_comes_nearer_than_chance() -> None:
    def far(drawn: Sequence[dict[str, Any]]) -> float:
        late = drawn[12:]
        return sum(abs(math.log10(one["lr"]) + 2) + abs(one["depth"] - 3) for one in late) / len(late)

    assert far(chosen(section(), 24)) < 0.7 * far(chosen(section(sampler="random"), 24))


def test_trials_begin_at_random_until_there_is_something_to_learn_from() -> None:
    assert chosen(section(), 4) == chosen(section(sampler="random"), 4)


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_a_small_space_is_emptied_without_repeats(sampler: str) -> None:
    small = {"depth": SPACE["depth"], "width": SPACE["width"]}
    drawn = chosen(section(space=small, sampler=sampler), 8)
    assert {(one["depth"], one["width"]) for one in drawn} == {
        (depth, width) for depth in (2, 3, 4, 5) for width in ("wide", json.dumps([4, 8]))
    }


def test_unfinished_trials_count_as_tried() -> None:
    from optuna.trial import TrialState, create_trial

    sweep = section(space={"width": SPACE["width"]})
    space = space_of(sweep)
    running = create_trial(
        state=TrialState.RUNNING,
        params={"width": "wide"},
        distributions={axis.key: axis.distribution for axis in space.axes},
    )
    for slot in range(4):
        drawn = propose(sweep, space, slot=slot, known=[running], better="lower")
        assert drawn == {"width": json.dumps([4, 8])}
