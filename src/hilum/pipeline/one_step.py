"""A few real steps of training, to see that they work and what they cost in time and memory."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from time import perf_counter

import torch

from hilum.augment.augmenter import Augmenter
from hilum.errors import HilumError
from hilum.pipeline.study import Study
from hilum.runtime import forget_peak_memory, peak_memory_bytes, seed_weights

STEPS = 3
ENOUGH_S = 5.0
"""Timing stops after this long, once a step has been timed."""


@dataclass(frozen=True)
class StepTrial:
    """What steps of training cost: time with all that is waited for, and the highest memory of process or device."""

    parameters: int
    loss: float
    step_s: float
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
    seed_weights(runtime.seed)
    batches = study.batches(study.dataset(study.split.part("train")), runtime)
    augmenter = Augmenter(experiment.data.augment, seed=runtime.seed)
    forget_peak_memory(runtime.device)
    model = runtime.place(experiment.build_network(study.problem)).train()
    loss = experiment.build_loss(study.problem).to(runtime.device)
    optimizer = experiment.optimizer.build(model)
    value, timed = float("nan"), list[float]()
    start = perf_counter()
    for batch in islice(batches.epoch(0), STEPS):
        changed = augmenter(batch, study.frame) if augmenter.steps else batch
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
        memory_bytes=peak_memory_bytes(runtime.device),
        device=str(runtime.device),
        steps_per_epoch=batches.steps_per_epoch,
    )
