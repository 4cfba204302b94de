"""What the section `decide` asks for and the patients cannot give, told once the split is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hilum.case import Case, ImageRef
from hilum.data.splits.base import Split
from hilum.evaluation.decide_section import DecideConfig
from hilum.evaluation.patient_answers import answer_faults
from hilum.evaluation.patients import label_faults
from hilum.problem import IGNORE, Problem
from hilum.targets import Vector, encoded_label
from hilum.yaml_text import Location

SHOWN = 5
"""How many patients of conflicting labels are named."""

Fault = tuple[Location, str]


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
    if decide.operating_point.has_threshold:
        of_positive = sum(label == positive for _, label in validation)
        if not 0 < of_positive < len(validation):
            message = (
                f"needs validation cases of {positive} and of other classes; {of_positive} of {len(validation)} are"
            )
            yield ("decide", "operating_point"), f"{message} {positive}: divide otherwise, or decide by argmax"
    if decide.patient is not None:
        labels = [*validation, *_labels(split.part("test"), problem)]
        yield from _shown(label_faults(labels, rule=decide.patient.labels, positive=positive))


def _of_answers(decide: DecideConfig, problem: Problem, split: Split) -> Iterator[Fault]:
    """The faults of findings, each of which has a threshold of its own, and of numbers."""
    if decide.operating_point.has_threshold:
        validation = [values for _, values in _answers(split.part("val"), problem)]
        table = np.array(validation).reshape(-1, len(problem.classes))
        without = [
            f"{name} (in {int((column == 1).sum())} of {int((column != IGNORE).sum())})"
            for name, column in zip(problem.classes, table.T, strict=True)
            if not 0 < (column == 1).sum() < (column != IGNORE).sum()
        ]
        if without:
            message = f"needs validation cases with and without each finding, but for {', '.join(without)}"
            yield ("decide", "operating_point"), f"{message}: divide otherwise, or decide by argmax"
    if decide.patient is not None:
        labels = [*_answers(split.part("val"), problem), *_answers(split.part("test"), problem)]
        yield from _shown(answer_faults(labels, problem, rule=decide.patient.labels))


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
