"""What the section `decide` asks for and the patients cannot give, told once the split is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from hilum.case import Case, ImageRef
from hilum.data.splits.base import Split
from hilum.evaluation.decide_section import DecideConfig, Labels
from hilum.evaluation.patient_answers import answer_faults, answer_truth
from hilum.evaluation.patients import label_faults, patient_truth
from hilum.problem import IGNORE, Problem
from hilum.targets import Vector, encoded_label
from hilum.yaml_text import Location

SHOWN = 5
"""How many patients of conflicting labels are named."""

Fault = tuple[Location, str]
Label = TypeVar("Label")


def decision_faults(decide: DecideConfig, problem: Problem, split: Split) -> Iterator[Fault]:
    """Each fault with the key to mend; the section itself must have none."""
    if decide.calibrate and not split.part("val"):
        yield ("decide", "calibrate"), "needs validation patients, and the split has none: remove it"
    if problem.dense or any(decide.faults(problem)):
        return
    if decide.slices.needs_positive and problem.dims == 3:
        yield ("decide", "slices"), "is for 2D networks, this one takes whole volumes: remove it"
    yield from (
        _of_classes(decide, problem, split) if problem.kind == "classification" else _of_answers(decide, problem, split)
    )


def _of_classes(decide: DecideConfig, problem: Problem, split: Split) -> Iterator[Fault]:
    positive = decide.positive_class(problem)
    validation = _labels(split.part("val"), problem)
    chooses = decide.operating_point.has_threshold
    if chooses:
        of_positive = sum(label == positive for _, label in validation)
        if not 0 < of_positive < len(validation):
            chooses = False
            message = (
                f"needs validation cases of {positive} and of other classes; {of_positive} of {len(validation)} are"
            )
            yield ("decide", "operating_point"), f"{message} {positive}: divide otherwise, or decide by argmax"
    if decide.patient is not None:
        labels = [*validation, *_labels(split.part("test"), problem)]
        rule = decide.patient.labels
        faults = label_faults(labels, rule=rule, positive=positive)
        yield from _shown(faults)
        if chooses and not faults:
            truths = [patient_truth(one, own, rule=rule, positive=positive) for one, own in _grouped(validation)]
            yield from _alike({positive: [truth == positive for truth in truths]})


def _of_answers(decide: DecideConfig, problem: Problem, split: Split) -> Iterator[Fault]:
    """The faults of findings, each of which has a threshold of its own, and of numbers."""
    validation, chooses = _answers(split.part("val"), problem), decide.operating_point.has_threshold
    if chooses:
        table = np.array([values for _, values in validation]).reshape(-1, len(problem.classes))
        without = [
            f"{name} (in {int((column == 1).sum())} of {int((column != IGNORE).sum())})"
            for name, column in zip(problem.classes, table.T, strict=True)
            if not 0 < (column == 1).sum() < (column != IGNORE).sum()
        ]
        if without:
            chooses = False
            message = f"needs validation cases with and without each finding, but for {', '.join(without)}"
            yield ("decide", "operating_point"), f"{message}: divide otherwise, or decide by argmax"
    if decide.patient is not None:
        labels = [*validation, *_answers(split.part("test"), problem)]
        faults = answer_faults(labels, problem, rule=decide.patient.labels)
        yield from _shown(faults)
        if chooses and not faults:
            yield from _alike(_by_finding(validation, problem, decide.patient.labels))


def _by_finding(answers: Sequence[tuple[str, Vector]], problem: Problem, rule: Labels) -> dict[str, list[bool]]:
    """Of each finding, whether each patient in whom it is known has it."""
    found: dict[str, list[bool]] = {name: [] for name in problem.classes}
    for patient, own in _grouped(answers):
        for name, column in zip(problem.classes, np.stack(own).T, strict=True):
            truth = answer_truth(patient, name, column[column != IGNORE].astype(float).tolist(), rule=rule)
            if truth is not None:
                found[name].append(truth == 1)
    return found


def _alike(found: Mapping[str, Sequence[bool]]) -> Iterator[Fault]:
    """A fault where a threshold for patients would have nothing to tell apart."""
    named = [f"{name} (in {sum(own)} of {len(own)})" for name, own in found.items() if len(set(own)) < 2]
    if named:
        message = f"needs validation patients with and without what is decided about, but for {', '.join(named)}"
        yield ("decide", "patient"), f"{message}: divide otherwise, or decide by argmax"


def _grouped(labels: Iterable[tuple[str, Label]]) -> Iterable[tuple[str, list[Label]]]:
    """The labels of each patient."""
    by_patient: dict[str, list[Label]] = {}
    for patient, label in labels:
        by_patient.setdefault(patient, []).append(label)
    return by_patient.items()


def _shown(faults: Sequence[str]) -> Iterator[Fault]:
    """The first faults of patients' labels, and how many more there are."""
    more = [f"and {len(faults) - SHOWN} more like these"] if len(faults) > SHOWN else []
    yield from ((("decide", "patient", "labels"), fault) for fault in [*faults[:SHOWN], *more])


def _labels(cases: Sequence[Case], problem: Problem) -> list[tuple[str, str]]:
    """The patient and the class of each case that has one."""
    labels = [(case.patient, case.label) for case in cases if isinstance(case.label, str)]
    return [(patient, problem.classes[problem.encode_class(label)]) for patient, label in labels]


def _answers(cases: Sequence[Case], problem: Problem) -> list[tuple[str, Vector]]:
    """The patient and the findings or numbers of each case that has some."""
    found = []
    for case in cases:
        if case.label is not None and not isinstance(case.label, ImageRef):
            values = encoded_label(case.label, problem)
            assert not isinstance(values, int)
            found.append((case.patient, values))
    return found
