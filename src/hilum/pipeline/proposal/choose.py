"""Puts the sections of a configuration together from what a look at the data found, each with its reason."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from hilum.case import Cohort
from hilum.errors import DataError, number_of
from hilum.pipeline.proposal.classify import classification
from hilum.pipeline.proposal.machine import Machine
from hilum.pipeline.proposal.names import class_map, finding_last, structure_map
from hilum.pipeline.proposal.recipe import percent
from hilum.pipeline.proposal.segment import segmentation
from hilum.pipeline.proposal.survey import Survey
from hilum.pipeline.proposal.write import Entry
from hilum.problem import Problem
from hilum.registry import parse
from hilum.sources.layout import Layout
from hilum.tasks.base import TaskConfig

_GUESSED = re.compile(r"background|foreground|structure|label_[0-9]+|class_[0-9]+")
"""Names that stand for a number of which nobody knows more."""
MOST_CLASSES = 100
SHOWN = 12
"""How many classes are counted one by one."""
IGNORED = 255
"""The label value that data sets use for voxels which nobody could tell."""
FEW_PATIENTS = 10
IMBALANCED = 3.0
"""Ratio of the most to the least frequent class above which the rarer ones weigh more."""
CACHED_SHARE = 0.25
"""Share of the memory that prepared cases may stay in."""


def sections(survey: Survey, source: Entry, split: Entry, task: Entry, *, name: str, machine: Machine) -> list[Entry]:
    """All entries of the configuration."""
    problem = problem_of(task, survey)
    if survey.task == "segmentation":
        recipe = segmentation(survey, problem, machine)
    else:
        recipe = classification(survey, problem, machine, loss=_loss(survey))
    data = (source, split, *recipe.data, *_missing(survey), *_memory(survey, machine))
    return [Entry("name", name), task, Entry("data", data), *recipe.sections]


def problem_of(task: Entry, survey: Survey) -> Problem:
    """The problem that a task stands for in images like these."""
    config = parse("tasks", task.value)
    if not isinstance(config, TaskConfig):
        raise AssertionError("a task is a task")
    dims = 2 if survey.flat else 3
    return config.problem(channels=survey.cohort.channels, dims=dims, size=None)


def masks_task(survey: Survey, layout: Layout) -> Entry:
    """The section task of a segmentation: as the data set names its structures, completed by what masks hold."""
    values, ignored = sorted(survey.masks.cases), layout.ignore
    named = dict(layout.classes or {})
    guessed = not named or all(_GUESSED.fullmatch(name) for name in named)
    if guessed and ignored is None and len(values) > 3 and values[-1] == IGNORED:
        ignored, values = IGNORED, values[:-1]
    groups = [group if isinstance(group, list | tuple) else [group] for group in named.values()]
    taken = {number for group in groups for number in group}
    extra = [number for number in values if number not in taken and number != ignored]
    if layout.regions:
        value: dict[str, Any] = {"kind": "segmentation", "regions": named}
    elif guessed:
        value = {"kind": "segmentation", "classes": structure_map(values)}
    else:
        value = {"kind": "segmentation", "classes": {**named, **{f"label_{number}": number for number in extra}}}
    if ignored is not None:
        value["ignore"] = ignored
    return Entry("task", value, _masks_reason(survey, guessed=guessed, ignored=ignored))


def classes_task(survey: Survey, layout: Layout) -> Entry:
    """The section task of a classification. Raises DataError where the labels are too many to be classes."""
    counts = Counter(survey.cohort.labels.values())
    several = next((text for text in counts if "|" in text), None)
    if several is not None:
        raise DataError(
            f"some cases have several labels, such as '{several}': write the task multilabel by hand for them, or name "
            "another column with --label"
        )
    if len(counts) > max(2, min(MOST_CLASSES, sum(counts.values()) // 2)):
        raise DataError(
            f"{len(counts)} different labels in {sum(counts.values())} cases, such as {', '.join(sorted(counts)[:3])}: "
            "expected a few classes; name another column with --label"
        )
    if len(counts) < 2:
        raise DataError(f"all cases have the label {next(iter(counts), 'nothing')}: expected two classes at least")
    named = dict(layout.classes or {})
    unnamed = not named or {str(value) for value in named.values()} == named.keys()
    classes = class_map(counts) if unnamed else finding_last(named)
    shown = ", ".join(f"{text} {count}" for text, count in counts.most_common(SHOWN))
    why = f"cases by label: {shown}" + (f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else "")
    if any(_GUESSED.fullmatch(name) for name in classes):
        why += ". The data only number the classes: write their names here"
    if len(counts) == 2:
        why += f". Scores such as auroc look for the second class, {[*classes][1]}"
    return Entry("task", {"kind": "classification", "classes": classes}, why)


def _masks_reason(survey: Survey, *, guessed: bool, ignored: int | None) -> str:
    masks = survey.masks
    looked = (
        f"all {masks.total} masks" if masks.complete else f"{masks.looked} of {masks.total} masks (check reads all)"
    )
    found = ", ".join(
        f"{value} in {count} masks"
        + (f" ({percent(masks.shares[value])} of the voxels)" if value in masks.shares else "")
        for value, count in masks.cases.items()
    )
    why = f"name: value in the files, background first. Found in {looked}: {found}"
    if guessed:
        why += ". Nothing says what the values stand for: write their names here"
    if guessed and masks.shares.get(0, 1.0) < 0.5:
        why += "; 0 is not the most frequent one: if it is the structure, exchange the two numbers"
    if masks.rounded:
        why += f". {number_of(masks.rounded, 'mask')} hold numbers such as 0.99999997, which are rounded"
    return why + (f". {ignored}: voxels that no loss and no score sees" if ignored is not None else "")


def split_entry(cohort: Cohort) -> Entry:
    """The section split: the official one where there is one, else three parts by patient."""
    patients, cases = len({case.patient for case in cohort.cases}), len(cohort.cases)
    parts = {case.part for case in cohort.cases}
    if None not in parts and "train" in parts and len(parts) > 1:
        why = "the official division of the data set"
        return Entry("split", "predefined", why if "val" in parts else f"{why}, which has no part to choose on")
    why = "always by patient: three in five train, one in five chooses, one in five is kept for the final score"
    if patients == 1 and cases > 1:
        why = "one patient: the images are cut into contiguous blocks, and no score says anything about other patients"
    elif patients < FEW_PATIENTS:
        why = (
            f"by patient; {number_of(patients, 'patient')} are few, and so are those that scores rest on. "
            "To score every one of them once, train one run for each fold of\n"
            f"  split: {{kind: kfold, folds: {max(2, min(5, patients))}, fold: 0}}"
        )
    return Entry("split", {"kind": "holdout", "val": 0.2, "test": 0.2, "seed": 17}, why)


def _loss(survey: Survey) -> Entry:
    own = {case.id for case in survey.split.part("train")}
    counts = Counter(label for case, label in survey.cohort.labels.items() if case in own)
    most, least = max(counts.values()), min(counts.values())
    everywhere = len(counts) == len(set(survey.cohort.labels.values()))  # else there is nothing to weigh some by
    if most > IMBALANCED * least and everywhere:
        return Entry(
            "loss",
            {"kind": "cross_entropy", "class_weights": "balanced"},
            f"the most frequent class has {most / least:.1f} times as many training cases as the rarest",
        )
    return Entry("loss", "cross_entropy", f"no class is more than {IMBALANCED:g} times as frequent as another")


def _missing(survey: Survey) -> list[Entry]:
    lacking = sum(bool(case.missing) for case in survey.cohort.cases)
    if not lacking:
        return []
    channels = ", ".join(survey.cohort.channels)
    why = f"{lacking} of {len(survey.cohort.cases)} cases lack one or more of the channels {channels}"
    return [Entry("missing", {"presence": True, "dropout": 0.25}, why)]


def _memory(survey: Survey, machine: Machine) -> list[Entry]:
    """More memory for prepared cases where the default is too little and the machine has it."""
    sizes = survey.typical(box=survey.zero_background)
    voxels = float(sizes[0] * sizes[1] * sizes[2])
    needed = len(survey.cohort.cases) * voxels * (4 * len(survey.cohort.channels) + 2) / 2**30
    most = CACHED_SHARE * machine.memory_bytes / 2**30
    if needed <= 2 or most <= 2 or survey.task == "classification":
        return []
    gigabytes = int(min(needed + 1, most))
    return [
        Entry("memory_gb", gigabytes, f"the prepared cases take about {needed:.0f} GB; those beyond are read again")
    ]
