"""What training costs on this machine, measured on real steps and a real validation that leave no trace."""

from __future__ import annotations

import copy
from contextlib import closing
from dataclasses import replace
from statistics import median
from time import perf_counter

from hilum.pipeline.session import Session
from hilum.training.budget import Budget, Costs, budget_of
from hilum.training.interrupt import StopRequest

WARM_UP_STEPS = 2
LEAST_STEPS = 5
SAVES = 5
SHARE = 0.02
"""Share of the time budget that steps, and a validation, are measured for."""
MOST_S = 30.0
"""No measurement is longer than this."""
ENDLESS = 2**31
"""Steps of the schedule while steps are measured."""


class _Enough(Exception):  # noqa: N818 (an event, not an error)
    """Steps were measured for long enough."""


def time_budget(session: Session, minutes: float, stop: StopRequest) -> Budget:
    """The steps that fit into a time. What a checkpoint says was measured before is not measured again.

    Raises ConfigError where hardly anything fits, Interrupted where the process is asked to stop.
    """
    settings = session.study.experiment.train
    known = session.budget
    if known is not None and known.minutes == minutes:
        return known
    return budget_of(
        minutes,
        known.costs if known is not None else _measured(session, minutes * 60, stop),
        steps_per_epoch=settings.updates(session.batches.steps_per_epoch),
        validate_every=settings.validate_every,
    )


def _measured(session: Session, budget_s: float, stop: StopRequest) -> Costs:
    """The costs of this machine, the same on all ranks; model, optimizer and position are as they were afterwards."""
    trainer, start = session.trainer, perf_counter()
    tensors, position = copy.deepcopy(trainer.tensors()), trainer.facts()
    enough_s = min(SHARE * budget_s, MOST_S)
    trainer.step_limit = ENDLESS
    try:
        step_s = _step_s(session, enough_s, stop)
        opening_s = _opening_s(session)
        validation_s = _validation_s(session, enough_s) if session.study.split.part("val") else 0.0
    finally:
        trainer.step_limit = None
    trainer.restore(tensors, position)
    saving_s = _saving_s(session)
    costs = (step_s, opening_s + saving_s, validation_s + saving_s, perf_counter() - start)
    longest = [max(values) for values in zip(*session.runtime.gather([costs]), strict=True)]
    return Costs(*longest)


def _step_s(session: Session, enough_s: float, stop: StopRequest) -> float:
    """Seconds between two steps of an epoch, the first ones left out."""
    times: list[tuple[int, float]] = []

    def after_step(loss: float, waiting: float) -> None:
        del loss, waiting
        stop.signum = session.runtime.highest(stop.signum or 0) or None
        stop.check()
        times.append((session.trainer.position.epoch, perf_counter()))
        counted = len(times) - WARM_UP_STEPS - 1
        if counted < 1:
            return
        measured_s = times[-1][1] - times[WARM_UP_STEPS][1]
        enough = measured_s >= (enough_s if counted >= LEAST_STEPS else 2 * enough_s)
        if session.runtime.highest(int(enough)):
            raise _Enough

    try:
        for _ in session.trainer.epochs(session.batches, augment=session.augment, after_step=after_step):
            pass
    except _Enough:
        pass
    pairs = list(zip(times[WARM_UP_STEPS:], times[WARM_UP_STEPS + 1 :], strict=False))
    # A step that opens an epoch waits for its first batch, which is counted apart.
    within = [later - earlier for (epoch, earlier), (same, later) in pairs if epoch == same]
    counted = within or [later - earlier for (_, earlier), (_, later) in pairs]
    return sum(counted) / len(counted)


def _opening_s(session: Session) -> float:
    """Seconds until the first batch of an epoch is there."""
    start = perf_counter()
    with closing(session.batches.epoch(session.trainer.position.epoch + 1)) as batches:
        next(batches)
        return perf_counter() - start


def _validation_s(session: Session, enough_s: float) -> float:
    """Seconds of a validation, from as many of its cases as there is time for."""
    validation, runtime = session.validation, session.runtime
    cases = validation.dataset.cases

    def seconds(count: int) -> float:
        some = replace(validation, dataset=session.study.dataset(cases[:count]))
        start = perf_counter()
        some.scores(session.trainer.scored_model, session.trainer.loss)
        return perf_counter() - start

    seconds(1)  # warms up
    one_s = max(runtime.gather([seconds(1)]))
    count = max(1, min(len(cases), int(enough_s / one_s)))
    return max(runtime.gather([seconds(count) * len(cases) / count]))


def _saving_s(session: Session) -> float:
    """Seconds of writing a checkpoint; the middle of several, since a disk has its moods."""
    times: list[float] = []
    for _ in range(SAVES):
        start = perf_counter()
        session.save_last()
        times.append(perf_counter() - start)
    return median(times)
