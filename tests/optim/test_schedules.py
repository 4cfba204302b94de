"""Schedules against torch's own, and against their closed forms."""

import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.optim import lr_scheduler

from hilum.optim.schedules import (
    ConstantConfig,
    CosineConfig,
    ExponentialConfig,
    MultiStepConfig,
    OneCycleConfig,
    PlateauConfig,
    PolyConfig,
    ScheduleConfig,
    StepConfig,
)
from hilum.registry import kinds, parse

STEPS = 60


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def rates(scheduler: lr_scheduler.LRScheduler, steps: int) -> list[float]:
    found = []
    for _ in range(steps):
        found.append(float(scheduler.get_last_lr()[0]))
        scheduler.optimizer.step()
        scheduler.step()
    return found


def ours(schedule: ScheduleConfig) -> list[float]:
    return [schedule.factor(step, STEPS) for step in range(STEPS)]


def test_cosine_is_torchs() -> None:
    theirs = lr_scheduler.CosineAnnealingLR(optimizer(), T_max=STEPS, eta_min=0.1)
    assert ours(CosineConfig(floor=0.1)) == pytest.approx(rates(theirs, STEPS))


def test_poly_is_torchs() -> None:
    theirs = lr_scheduler.PolynomialLR(optimizer(), total_iters=STEPS, power=0.9)
    assert ours(PolyConfig()) == pytest.approx(rates(theirs, STEPS))


def test_step_is_torchs() -> None:
    theirs = lr_scheduler.StepLR(optimizer(), step_size=STEPS // 4, gamma=0.1)
    assert ours(StepConfig(drops=3)) == pytest.approx(rates(theirs, STEPS))


def test_multistep_is_torchs() -> None:
    theirs = lr_scheduler.MultiStepLR(optimizer(), milestones=[18, 42, 54], gamma=0.3)
    assert ours(MultiStepConfig(at=(0.3, 0.7, 0.9), gamma=0.3)) == pytest.approx(rates(theirs, STEPS))


def test_multistep_wants_rising_shares() -> None:
    with pytest.raises(ValueError, match="rising"):
        MultiStepConfig(at=(0.7, 0.3))


def test_exponential_is_torchs() -> None:
    theirs = lr_scheduler.ExponentialLR(optimizer(), gamma=0.02 ** (1 / STEPS))
    assert ours(ExponentialConfig(floor=0.02)) == pytest.approx(rates(theirs, STEPS))


def test_one_cycle_is_torchs() -> None:
    """Theirs reaches its lowest rate with its last step, ours after it: one step more, and the peak in the same one."""
    given, rise = optimizer(), (0.3 * STEPS + 1) / (STEPS + 1)
    theirs = lr_scheduler.OneCycleLR(
        given, 1.0, total_steps=STEPS + 1, pct_start=rise, cycle_momentum=False, div_factor=20, final_div_factor=50
    )
    assert ours(OneCycleConfig(rise=0.3, start=1 / 20, floor=1 / 1000)) == pytest.approx(rates(theirs, STEPS))


@given(drops=st.integers(0, 12))
def test_plateau_falls_by_its_factor_down_to_its_floor(drops: int) -> None:
    schedule = PlateauConfig(gamma=0.5, floor=0.01)
    assert schedule.lowered(drops) == pytest.approx(max(0.01, 0.5**drops))
    assert [schedule.factor(step, STEPS) for step in range(STEPS)] == [1.0] * STEPS


def test_warm_up_is_torchs_linear_one() -> None:
    theirs = lr_scheduler.LinearLR(optimizer(), start_factor=1 / 11, end_factor=1.0, total_iters=10)
    assert ours(ConstantConfig(warmup=10)) == pytest.approx(rates(theirs, STEPS))


@pytest.mark.parametrize("kind", ["cosine", "poly", "step"])
def test_warm_up_then_any_schedule_is_torchs_sequence(kind: str) -> None:
    """The shape runs over the steps that are left; the first of them has the highest rate."""
    given, left = optimizer(), STEPS - 12
    schedules: dict[str, tuple[ScheduleConfig, lr_scheduler.LRScheduler]] = {
        "cosine": (CosineConfig(warmup=12, floor=0.1), lr_scheduler.CosineAnnealingLR(given, T_max=left, eta_min=0.1)),
        "poly": (PolyConfig(warmup=12), lr_scheduler.PolynomialLR(given, total_iters=left, power=0.9)),
        "step": (StepConfig(warmup=12, drops=3), lr_scheduler.StepLR(given, step_size=left // 4, gamma=0.1)),
    }
    config, after = schedules[kind]
    warmup = lr_scheduler.LinearLR(given, start_factor=1 / 13, end_factor=1.0, total_iters=12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls its own schedulers in a way that it warns of
        sequence = lr_scheduler.SequentialLR(given, [warmup, after], milestones=[12])
        theirs = rates(sequence, STEPS)
    assert ours(config) == pytest.approx(theirs)


def test_warm_up_then_cosine_over_what_is_left() -> None:
    def by_hand(step: int) -> float:
        return (step + 1) / 11 if step < 10 else 0.5 * (1 + math.cos(math.pi * (step - 10) / 50))

    assert ours(CosineConfig(warmup=10)) == pytest.approx([by_hand(step) for step in range(STEPS)])


@pytest.mark.parametrize("kind", kinds("schedules"))
@given(warmup=st.integers(0, 100) | st.floats(0.001, 0.999), total=st.integers(1, 200), step=st.integers(0, 300))
def test_the_factor_is_a_share_whatever_the_numbers(kind: str, warmup: float, total: int, step: int) -> None:
    schedule = parse("schedules", {"kind": kind, "warmup": warmup})
    assert isinstance(schedule, ScheduleConfig)
    factor = schedule.factor(step, total)
    assert 0 <= factor <= 1
    assert factor > 0 or step >= total


def test_a_warm_up_below_one_is_a_share_of_all_steps() -> None:
    share, number = CosineConfig(warmup=0.12), CosineConfig(warmup=12)
    assert [share.factor(step, 100) for step in range(100)] == [number.factor(step, 100) for step in range(100)]
    assert share.factor(0, 8) == CosineConfig().factor(0, 8) == 1  # less than one step is none


@pytest.mark.parametrize("warmup", [-1, -0.5, 1.5])
def test_a_warm_up_is_steps_or_a_share(warmup: float) -> None:
    with pytest.raises(ValidationError):
        parse("schedules", {"kind": "cosine", "warmup": warmup})
