"""What the section `decide` asks for and the patients cannot give, told once the split is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hilum.case import Case
from hilum.data.splits.base import Split
from hilum.evaluation.decide_section import DecideConfig
from hilum.evaluation.patients import label_faults
from hilum.problem import Problem
from hilum.yaml_text import Location

SHOWN = 5
"""How many patients of conflicting labels are named."""


def decision_faults(decide: DecideConfig, problem: Problem, split: Split) -> Iterator[tuple[Location, str]]:
    """Each fault with the key to mend; the section itself must have none."""
    if decide.calibrate and not split.part("val"):
        yield ("decide", "calibrate"), "needs validation patients, and the split has none: remove it"
    if problem.kind != "classification" or any(decide.faults(problem)):
        return
    if decide.slices.needs_positive and problem.dims == 3:
        yield ("decide", "slices"), "is for 2D networks, this one takes whole volumes: remove it"
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
        faults = label_faults(labels, rule=decide.patient.labels, positive=positive)
        more = [f"and {len(faults) - SHOWN} patients more"] if len(faults) > SHOWN else []
        yield from ((("decide", "patient", "labels"), fault) for fault in [*faults[:SHOWN], *more])


def _labels(cases: Sequence[Case], problem: Problem) -> list[tuple[str, str]]:
    """The patient and the class of each case that has one."""
    labels = [(case.patient, case.label) for case in cases if isinstance(case.label, str)]
    return [(patient, problem.classes[problem.encode_class(label)]) for patient, label in labels]
