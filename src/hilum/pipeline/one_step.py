"""A few real steps of training and a case of validation, to see that they work and what time and memory they cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from time import perf_counter

import torch
from torch import nn

from hilum.augment.augmenter import Augmenter
from hilum.errors import HilumError
from hilum.hardware import forget_peak_memory, keep_freed_memory, peak_memory_bytes
from hilum.pipeline.session import validated
from hilum.pipeline.study import Study
from hilum.pipeline.validate import TOGETHER, Validation
from hilum.runtime import Runtime, seed_weights
from hilum.training.interrupt import StopRequest

STEPS = 3
ENOUGH_S = 5.0
"""Timing stops after this long, once a step has been timed."""


@dataclass(frozen=True)
class StepTrial:
    """What steps of training cost: time with all that is waited for, and the highest memory of process or device.

    `validation_s` is the time that the cases of a validation take, by that of the first.
    """

    parameters: int
    loss: float
    step_s: float
    validation_s: float
    memory_bytes: int
    device: str
    steps_per_epoch: int

    @property
    def epoch_s(self) -> float:
        """Seconds that an epoch takes, validation aside."""
        return self.step_s * self.steps_per_epoch


def try_steps(study: Study) -> StepTrial:
    """Real batches through augmentation, network, loss, back and optimizer; the first step warms up, the others count.

    Raises HilumError where the loss of a batch is not finite.
    """
    experiment = study.experiment
    runtime = experiment.runtime.start(alone=True)
    keep_freed_memory()  # as training does
    seed_weights(runtime.seed)
    batches = study.batches(study.dataset(study.split.part("train")), runtime)
    augmenter = Augmenter(experiment.data.augment, runtime.seed, experiment.data.degrade)
    forget_peak_memory(runtime.device)
    model = runtime.place(experiment.build_network(study.problem)).train()
    loss = experiment.build_loss(study.problem).to(runtime.device)
    optimizer = experiment.optimizer.build(model)
    value, timed = float("nan"), list[float]()
    start = perf_counter()
    for batch in islice(batches.epoch(0), STEPS):
        changed = augmenter(batch, study.frame) if augmenter.acts else batch
        with runtime.autocast():
            logits = model(changed.images.to(runtime.device))
        result = loss(logits, changed.targets.to(runtime.device))
        optimizer.zero_grad()
        result.backward()
        optimizer.step()
        value = float(result.detach())
        if not torch.isfinite(torch.tensor(value)):
            raise HilumError(f"the loss of a batch is {value}: look at the cases {', '.join(batch.ids)}")
        timed.append(perf_counter() - start)
        start = perf_counter()
        if sum(timed) > ENOUGH_S and len(timed) > 1:
            break
    counted = timed[1:] or timed
    return StepTrial(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        loss=value,
        step_s=sum(counted) / len(counted),
        validation_s=_validation_seconds(study, runtime, model, loss),
        memory_bytes=peak_memory_bytes(runtime.device),
        device=str(runtime.device),
        steps_per_epoch=batches.steps_per_epoch,
    )


def _validation_seconds(study: Study, runtime: Runtime, model: nn.Module, loss: nn.Module) -> float:
    """Seconds that validation takes, by one case of a segmentation or some of a classification; 0 without val part."""
    cases = validated(study)
    few = cases[: 1 if study.problem.dense else TOGETHER]
    if not few:
        return 0.0
    validation, seconds = Validation(study, runtime, StopRequest(), study.dataset(few)), math.inf
    for _ in range(2):  # the first one warms up, where that does not take long
        start = perf_counter()
        validation.scores(model, loss)
        seconds = min(seconds, perf_counter() - start)
        if seconds > ENOUGH_S:
            break
    return seconds * len(cases) / len(few)
