"""Everything that can be found wrong before training: configuration, data, labels, split, and one real batch through the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch

from hilum.augment.augmenter import Augmenter
from hilum.config import Document, Location, dotted
from hilum.errors import ConfigError, DataError, Fault, HilumError
from hilum.experiment import Experiment, cohort_faults, diagnose
from hilum.pipeline.study import Study, make_study
from hilum.runtime import seed_weights

Say = Callable[[str], None]


@dataclass(frozen=True)
class Verdict:
    """What a check found when nothing is wrong."""

    study: Study
    parameters: int
    loss: float
    step_s: float
    steps_per_epoch: int


def check(config_file: Path | str, overrides: Sequence[str] = (), *, say: Say = print) -> Verdict:
    """The verdict on a configuration and its data. Raises ConfigError with every fault found; trains nothing.

    The masks of all cases are read once (and kept for training), so that label values that no class has are found here.
    """
    file = Path(config_file)
    experiment, faults, document = diagnose(file, list(overrides))
    cohort = None
    if experiment is not None and not any(fault.field.startswith(("data.source", "task")) for fault in faults):
        cohort, found = cohort_faults(experiment)
        faults += [_placed(document, where, message) for where, message in found]
    if faults or experiment is None or cohort is None:
        raise ConfigError(faults)
    say(f"{file}: understood; {len(cohort.cases)} cases of {len({case.patient for case in cohort.cases})} patients")
    try:
        study = make_study(experiment, cohort=cohort)
    except ConfigError as error:
        raise ConfigError(
            [_placed(document, tuple(fault.field.split(".")), fault.message) for fault in error.faults]
        ) from error
    dataset = study.dataset(tuple(case for part in study.split.parts.values() for case in part))
    try:
        dataset.prepare()
    except DataError as error:
        raise ConfigError([_placed(document, ("data",), line) for line in str(error).splitlines()]) from error
    for part, cases in study.split.parts.items():
        say(f"{part}: {len(cases)} cases of {len({case.patient for case in cases})} patients")
    for note in study.notes:
        say(f"note: {note}")
    verdict = _one_step(experiment, study)
    say(
        f"{experiment.network.kind}: {verdict.parameters:,} parameters; one batch of {experiment.data.batch_size} through network, "
        f"loss and back took {verdict.step_s:.2f} s, loss {verdict.loss:.4f}"
    )
    epochs, minutes = experiment.train.epochs, verdict.step_s * verdict.steps_per_epoch / 60
    say(
        f"about {minutes:.1f} min an epoch of {verdict.steps_per_epoch} steps, {minutes * epochs:.0f} min for {epochs} epochs, without validation"
    )
    say("all checks passed")
    return verdict


def _one_step(experiment: Experiment, study: Study) -> Verdict:
    """One real batch through augmentation, network, loss and back; the second of two steps is timed."""
    runtime = experiment.runtime.start()
    seed_weights(runtime.seed)
    model = runtime.place(experiment.network.build(study.problem))
    loss = experiment.loss.build(study.problem).to(runtime.device)
    batches = study.batches(study.dataset(study.split.part("train")), runtime)
    augmenter = Augmenter(experiment.data.augment, seed=runtime.seed)
    model.train()
    batch = next(iter(batches.epoch(0)))
    value, seconds = float("nan"), 0.0
    for _ in range(2):
        start = perf_counter()
        changed = augmenter(batch, study.frame) if augmenter.steps else batch
        with runtime.autocast():
            logits = model(changed.images.to(runtime.device))
        result = loss(logits, changed.targets.to(runtime.device))
        result.backward()
        value, seconds = float(result.detach()), perf_counter() - start
    if not torch.isfinite(torch.tensor(value)):
        raise HilumError(f"the loss of the first batch is {value}: look at the cases {', '.join(batch.ids)}")
    count = sum(parameter.numel() for parameter in model.parameters())
    return Verdict(study, count, value, seconds, batches.steps_per_epoch)


def _placed(document: Document, where: Location, message: str) -> Fault:
    return Fault(document.where(where), dotted(where), message)
