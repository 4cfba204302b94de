"""The next setting of a sweep as a function of its seed, the number of the trial, and what is known by then."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hilum.pipeline.sweeping.space import Setting, Space
from hilum.random import torch_seed
from hilum.training.sweep_section import SweepConfig

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

PATIENCE = 10
"""How often the sampler may come back to a setting that was tried already, before one is drawn at random."""


def propose(sweep: SweepConfig, space: Space, *, slot: int, known: Sequence[FrozenTrial], better: str) -> Setting:
    """The setting of the trial number `slot`, as Optuna knows it, given the trials that have one already.

    The same arguments give the same setting, so that a sweep that was stopped goes on as if it had not been. None is
    tried twice: that would train the same weights again. TPE is that of Bergstra et al. (2011), joint over all keys.
    """
    if sweep.sampler == "grid":
        return space.combination(slot)
    tried = [trial.params for trial in known]
    for attempt in itertools.count():
        seed = torch_seed(sweep.seed, attempt, slot, "sweep") % 2**32
        drawn = _drawn(_sampler(sweep, seed, learns=attempt < PATIENCE), space, known, better)
        if drawn not in tried:
            break
    return drawn


def _sampler(sweep: SweepConfig, seed: int, *, learns: bool) -> BaseSampler:
    from optuna.samplers import RandomSampler, TPESampler

    if sweep.sampler == "tpe" and learns:
        return TPESampler(seed=seed, n_startup_trials=max(sweep.startup, 1))
    return RandomSampler(seed=seed)


def _drawn(sampler: BaseSampler, space: Space, known: Sequence[FrozenTrial], better: str) -> Setting:
    """One draw, in a study in memory that holds what is known."""
    import optuna

    study = optuna.create_study(sampler=sampler, direction="maximize" if better == "higher" else "minimize")
    study.add_trials(known)
    return dict(study.ask({axis.key: axis.distribution for axis in space.axes}).params)
