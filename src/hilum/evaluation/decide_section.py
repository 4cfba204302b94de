"""The decide section of the YAML: how probabilities become decisions, of a case and of a patient."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from hilum.errors import nearest
from hilum.evaluation.aggregates.base import AggregateConfig
from hilum.evaluation.operating_points.base import OperatingPointConfig
from hilum.problem import Problem
from hilum.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor

Labels = Literal["same", "any", "majority", "mean"]


class PatientConfig(Settings):
    """Scores and decisions by patient, from those of the patient's cases."""

    aggregate: AggregateConfig = Field(default="mean", validate_default=True)
    """How the probabilities of the cases are put together."""
    labels: Labels = "same"
    """The truth of a patient. same: all cases have it, anything else is an error. any: the positive class, or the
    finding, if a case has it. majority: that of most cases, where one class has most. mean: of numbers, their mean."""


class DecideConfig(Settings):
    """How probabilities become decisions."""

    positive: str | None = None
    """The class that a threshold decides about, against the rest; by default the second of two."""
    calibrate: bool = False
    """Fit a temperature to the validation part after training, and divide all logits by it from then on."""
    operating_point: OperatingPointConfig = Field(default="argmax", validate_default=True)
    """How a class is decided on; every kind but argmax has its threshold chosen on the validation part."""
    slices: AggregateConfig = Field(default="mean", validate_default=True)
    """How the probabilities of the slices of a volume are put together, for a 2D network."""
    patient: PatientConfig | None = None
    """Scores and decisions by patient too; without it, of cases only."""

    @property
    def chooses(self) -> bool:
        """Whether something is fitted or chosen on the validation part after training."""
        return self.calibrate or self.operating_point.has_threshold

    def positive_class(self, problem: Problem) -> str:
        """The positive class: the one that was named, or the last one, which is the second of two."""
        return self.positive or problem.classes[-1]

    def slice_pool(self, problem: Problem) -> Callable[["Tensor"], "Tensor"] | None:
        """Probabilities (C,) of a volume from those of its slices (S, C); None for their mean."""
        import torch

        if not self.slices.needs_positive:
            return None
        if problem.kind == "multilabel":
            return lambda each: torch.from_numpy(self.slices.of_findings(each.double().numpy())).float()
        index = problem.classes.index(self.positive_class(problem))
        return lambda each: torch.from_numpy(self.slices.combined(each.double().numpy(), index)).float()

    def faults(self, problem: Problem) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """What does not suit the problem, each with its place in the section."""
        if problem.kind != "classification":
            yield from self._of_others(problem.kind)
            return
        if self.patient is not None and self.patient.labels == "mean":
            yield ("patient", "labels"), "classes have no mean: take same, any or majority"
        needing = self._needing_positive
        close = nearest(self.positive or "", problem.classes)
        if self.positive is not None and self.positive not in problem.classes:
            hint = f"; did you mean '{close}'?" if close else ""
            message = f"received '{self.positive}', expected one of {', '.join(problem.classes)}{hint}"
            yield ("positive",), message
        elif self.positive is not None and not needing:
            yield ("positive",), "nothing in this section depends on it: remove it, or ask for an operating point"
        elif self.positive is None and needing and len(problem.classes) > 2:
            message = (
                f"positive is required by {needing[0]}: one of {', '.join(problem.classes)}, decided against the rest"
            )
            yield ("positive",), message

    @property
    def _needing_positive(self) -> list[str]:
        """The keys that depend on which class is positive."""
        keys = ["operating_point"] if self.operating_point.has_threshold else []
        keys += ["slices"] if self.slices.needs_positive else []
        if self.patient is not None:
            keys += ["patient.aggregate"] if self.patient.aggregate.needs_positive else []
            keys += ["patient.labels"] if self.patient.labels == "any" else []
        return keys

    def _of_others(self, kind: str) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """What of the section is for other tasks than this one, which is no classification."""
        asked: dict[str, tuple[bool, tuple[str, ...]]] = {
            "positive": (self.positive is not None, ("classification",)),
            "operating_point": (self.operating_point.has_threshold, ("classification", "multilabel")),
            "slices": (self.slices.needs_positive, ("classification", "multilabel")),
            "patient": (self.patient is not None, ("classification", "multilabel", "regression")),
            "calibrate": (self.calibrate, ("classification", "multilabel", "segmentation")),
        }
        for key, (given, tasks) in asked.items():
            if given and kind not in tasks:
                yield (key,), f"is for {' and '.join(tasks)}, the task is {kind}: remove it"
        if self.patient is None or kind not in asked["patient"][1]:
            return
        if kind == "multilabel" and self.patient.labels == "mean":
            yield ("patient", "labels"), "findings have no mean: take same, any or majority"
        if kind == "regression" and self.patient.labels in ("any", "majority"):
            yield ("patient", "labels"), f"'{self.patient.labels}' is for classes: take same or mean for numbers"
        if kind == "regression" and self.patient.aggregate.needs_positive:
            yield ("patient", "aggregate"), f"'{self.patient.aggregate.kind}' is for probabilities: take mean"
