"""Everything that can be found wrong before training, from the configuration to one real batch through the network."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch

from hilum.augment.augmenter import Augmenter
from hilum.case import Cohort, ImageRef
from hilum.config import Reading
from hilum.errors import ConfigError, DataError, Fault, HilumError
from hilum.experiment import Experiment, cohort_faults, diagnose
from hilum.formats.reading import read_header, read_mask
from hilum.pipeline.study import Study, make_study
from hilum.problem import Problem
from hilum.runtime import seed_weights
from hilum.yaml_text import Document

Say = Callable[[str], None]
FILES_S = 1.5
"""How long images and masks are looked at when something else is wrong already and the answer should come at once."""
SHOWN = 20
"""How many unreadable cases are named."""


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
    reading = diagnose(file, overrides)
    experiment, cohort = reading.model, None
    if experiment is not None and _readable(experiment, reading):
        cohort, found = cohort_faults(experiment, divide=reading.knows(("data", "split")))
        reading.faults += [reading.document.fault(where, message) for where, message in found]
    if experiment is None or cohort is None or reading.faults:
        raise _all_of(reading, cohort, seconds=FILES_S)
    say(f"{file}: understood; {len(cohort.cases)} cases of {len({case.patient for case in cohort.cases})} patients")
    try:
        study = make_study(experiment, cohort=cohort)
        study.dataset(tuple(case for part in study.split.parts.values() for case in part)).prepare()
    except (ConfigError, DataError) as error:
        reading.faults += placed(error, reading.document)
        raise _all_of(reading, cohort, seconds=math.inf) from error
    try:
        verdict = _one_step(experiment, study)
    except ConfigError as error:
        raise ConfigError(placed(error, reading.document)) from error
    for part, cases in study.split.parts.items():
        say(f"{part}: {len(cases)} cases of {len({case.patient for case in cases})} patients")
    for note in study.notes:
        say(f"note: {note}")
    say(
        f"{experiment.network.kind}: {verdict.parameters:,} parameters; one batch of {experiment.data.batch_size} "
        f"through network, loss and back took {verdict.step_s:.2f} s, loss {verdict.loss:.4f}"
    )
    epochs, minutes = experiment.train.epochs, verdict.step_s * verdict.steps_per_epoch / 60
    say(
        f"about {minutes:.1f} min an epoch of {verdict.steps_per_epoch} steps, "
        f"{minutes * epochs:.0f} min for {epochs} epochs, without validation"
    )
    say("all checks passed")
    return verdict


def _one_step(experiment: Experiment, study: Study) -> Verdict:
    """One real batch through augmentation, network, loss and back; the second of two steps is timed."""
    runtime = experiment.runtime.start(alone=True)
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


def _readable(experiment: Experiment, reading: Reading[Experiment]) -> bool:
    """Whether the cohort can be looked at; one that has to be generated first is left until nothing else is wrong."""
    if not reading.knows(("task",), ("data", "source")):
        return False
    return not (reading.faults and experiment.data.source.makes_files)


def _all_of(reading: Reading[Experiment], cohort: Cohort | None, *, seconds: float) -> ConfigError:
    """Every fault, those of the files (as far as `seconds` go) among them, in the order of the YAML file's lines."""
    faults = reading.faults
    if cohort is not None and reading.model is not None:
        problem = reading.model.provisional_problem()
        unreadable, values = _file_faults(cohort, problem, seconds=seconds)
        # What a case's own message says of its values, the summary below says of all.
        faults = [fault for fault in faults if not fault.message.startswith(tuple(f"case {id_}:" for id_ in values))]
        faults += [reading.document.fault(("data",), message) for message in unreadable[:SHOWN]]
        if len(unreadable) > SHOWN:
            faults.append(reading.document.fault(("data",), f"and {len(unreadable) - SHOWN} more such cases"))
        if values:
            where = ("task", "classes" if problem.exclusive else "regions")
            faults.append(reading.document.fault(where, _summed_up(values, problem)))
    return ConfigError(sorted(dict.fromkeys(faults), key=_line))


def _file_faults(cohort: Cohort, problem: Problem, *, seconds: float) -> tuple[list[str], dict[str, list[int]]]:
    """Images and masks that cannot be read, and label values that no class has by case id.

    Looks at as many cases as it can in that time: at the headers of images, and at all voxels of masks.
    """
    unreadable: list[str] = []
    found: dict[str, list[int]] = {}
    end = perf_counter() + seconds
    for case in cohort.cases:
        if perf_counter() > end:
            break
        try:
            for image in case.files:
                read_header(image)
            if isinstance(case.label, ImageRef):
                unknown = problem.unknown_values(read_mask(case.label).tensor.unique().tolist())
                found |= {case.id: unknown} if unknown else {}
        except DataError as error:
            unreadable.append(f"case {case.id}: {error}")
    return unreadable, found


def _summed_up(masks: dict[str, list[int]], problem: Problem) -> str:
    values = sorted({value for unknown in masks.values() for value in unknown})
    cases = ", ".join(list(masks)[:3]) + (f" and {len(masks) - 3} more cases" if len(masks) > 3 else "")
    return f"label values {values} belong to no class (masks of {cases}); expected {problem.described()}"


def placed(error: HilumError, document: Document) -> list[Fault]:
    """The faults of an error that arose beyond the file, each at the key that it names, or else at the data."""
    given = (
        error.faults if isinstance(error, ConfigError) else [Fault("", "data", line) for line in str(error).split("\n")]
    )
    placed = []
    for fault in given:
        named = re.match(r"([a-z_]+(?:\.\w+)*): (.*)", fault.message, re.DOTALL) if not fault.field else None
        field, message = (named[1], named[2]) if named else (fault.field, fault.message)
        location = tuple(int(part) if part.isdecimal() else part for part in field.split(".")) if field else ()
        placed.append(document.fault(location, message))
    return placed


def _line(fault: Fault) -> tuple[bool, int]:
    """What faults are sorted by: overrides last."""
    number = fault.where.rpartition(":")[2]
    return (fault.where.startswith("command line"), int(number) if number.isdecimal() else 0)
