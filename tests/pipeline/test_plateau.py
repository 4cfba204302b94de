"""A plateau schedule in a session: validations lower the rate, and a resume goes on at the rate that it had."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from hilum.optim.schedules import ConstantConfig, PlateauConfig, ScheduleConfig
from hilum.pipeline.session import Session
from hilum.training.settings import TrainConfig

SCORES = [0.5, 0.6, 0.6, 0.6, 0.7, 0.65, 0.6, 0.7, 0.7]
EXPECTED = [1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001]
"""By hand: with a patience of 2 it falls after the second equal score, and after each two that are not above 0.7."""


def session(schedule: ScheduleConfig) -> Session:
    """All that judging a score needs; nothing is written, as on any rank but the first."""
    experiment = SimpleNamespace(
        monitor="dice", monitored=SimpleNamespace(better="higher"), schedule=schedule, train=TrainConfig()
    )
    parts: Any = {
        "run": None,
        "study": SimpleNamespace(experiment=experiment),
        "runtime": SimpleNamespace(is_main=False),
        "trainer": SimpleNamespace(lr_scale=1.0),
        "batches": None,
        "validation": None,
        "augmenter": None,
    }
    return Session(**parts)


@pytest.mark.parametrize("stop", range(len(SCORES)))
def test_the_rate_falls_and_a_stop_anywhere_changes_nothing(stop: int) -> None:
    schedule = PlateauConfig(patience=2, gamma=0.1)
    running, scales = session(schedule), []
    for epoch, score in enumerate(SCORES):
        running._judge(epoch, score, 0.0)
        scales.append(running.trainer.lr_scale)
        if epoch == stop:
            facts = json.loads(json.dumps(running.lowering.facts))
            running = session(schedule)
            running._restore_lowering(facts, same_monitor=True)
            assert running.trainer.lr_scale == scales[-1]
    assert scales == pytest.approx(EXPECTED)


def test_another_score_to_watch_keeps_the_rate_and_waits_anew() -> None:
    running = session(PlateauConfig(patience=2, gamma=0.1))
    running._restore_lowering({"drops": 1, "stillness": {"score": 0.9, "waited": 1}}, same_monitor=False)
    assert running.trainer.lr_scale == pytest.approx(0.1)
    assert running.lowering.stillness.waited == 0
    assert running.lowering.stillness.score is None


def test_other_schedules_are_left_alone() -> None:
    running = session(ConstantConfig())
    for epoch, score in enumerate(SCORES):
        running._judge(epoch, score, 0.0)
    assert running.trainer.lr_scale == 1.0
