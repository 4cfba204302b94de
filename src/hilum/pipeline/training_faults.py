"""What the sections train and predict ask for and cannot have, told once the network and the split are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hilum.errors import ConfigError
from hilum.experiment import Experiment
from hilum.optim.schedules import PlateauConfig
from hilum.problem import Problem
from hilum.training.freezing import freeze, freeze_faults, freeze_to_faults, frozen_patterns, still_norms
from hilum.yaml_text import Location


def training_faults(experiment: Experiment, problem: Problem, *, num_val: int) -> Iterator[tuple[Location, str]]:
    """Each fault with the key to mend; `num_val` is the number of cases to validate on."""
    train = experiment.train
    yield from _stage_faults(experiment, problem)
    if experiment.predict.skip_air and experiment.data.patch is None:
        yield ("predict", "skip_air"), "passes over windows, and without data.patch there are none: remove it"
    if train.early_stopping is not None and not num_val:
        yield ("train", "early_stopping"), "needs a validation part, and the split has none: remove it"
    if isinstance(experiment.schedule, PlateauConfig) and not num_val:
        yield ("schedule",), "plateau needs a validation part, and the split has none: take another schedule"
    if train.validate_cases is not None and train.validate_cases > num_val:
        message = f"received {train.validate_cases}, the validation part has {num_val} cases: lower or remove it"
        yield ("train", "validate_cases"), message


def _stage_faults(experiment: Experiment, problem: Problem) -> Iterator[tuple[Location, str]]:
    """What is frozen, or learns at a rate of its own, and is no part of the network."""
    train, optimizer = experiment.train, experiment.optimizer
    asked = train.freeze or train.freeze_to or optimizer.lr_scale or optimizer.lr_decay
    if not asked or experiment.network.faults(problem):
        return
    import torch

    with torch.device("meta"):
        model = experiment.build_network(problem)
    wrong = False
    for number, message in freeze_faults(model, train.freeze):
        wrong = True
        yield ("train", "freeze", number), message
    for message in freeze_to_faults(model, train.freeze, train.freeze_to) if train.freeze_to and not wrong else ():
        wrong = True
        yield ("train", "freeze_to"), message
    if not wrong:
        freeze(model, frozen_patterns(model, train.freeze, train.freeze_to))
        yield from ((("optimizer", *where), message) for where, message in optimizer.stage_faults(model))


def refuse_long_warmup(experiment: Experiment, total_steps: int) -> None:
    """Raise ConfigError where the warm-up outlasts the run."""
    warmup = experiment.schedule.warmup_steps(total_steps)
    if warmup >= total_steps:
        raise ConfigError(f"schedule.warmup: received {warmup} steps, the whole run has {total_steps}: lower it")


def refuse_lone_values(experiment: Experiment, problem: Problem, batch: Sequence[int]) -> None:
    """Raise ConfigError where a norm would see one value alone in batches (samples in a process, *size) of training."""
    import torch

    from hilum.layers.lone_values import lone_norm

    with torch.device("meta"):
        model = experiment.build_network(problem)
    samples, *size = batch
    patterns = frozen_patterns(model, experiment.train.freeze, experiment.train.freeze_to)
    freeze(model, patterns)
    still = still_norms(model, patterns)
    if (layer := lone_norm(model, (samples, problem.num_channels, *size), still=still)) is not None:
        raise ConfigError(
            f"data.batch_size: received {samples} a process, of {' x '.join(map(str, size))}: layer '{layer}' would "
            "normalise a single value, which becomes 0 whatever it was; take more samples, larger ones or another norm"
        )
