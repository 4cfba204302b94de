"""What becomes of the answers of an exported network: slices put together, a temperature, and decisions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hilum.evaluation.aggregates.mean import MeanAggregate
from hilum.evaluation.decision import FindingPoints, OperatingPoint

if TYPE_CHECKING:
    from hilum.evaluation.aggregates.base import AggregateConfig
    from hilum.evaluation.decision import Points
    from hilum.problem import Problem

AGGREGATES = ("mean", "max", "noisy_or", "top_k")
"""The ways to put slices together that the runner and the bundle know."""


@dataclass(frozen=True)
class Decisions:
    """All that was chosen on validation, or declared, about the probabilities of a case."""

    temperature: float = 1.0
    """What all logits are divided by, last of all."""
    slices: AggregateConfig = field(default_factory=MeanAggregate)
    """How a 2D network's answers to slices become one to their volume."""
    positive: str | None = None
    """The class that single slices can prove, where `slices` needs one; every finding can be proved."""
    point: Points | None = None
    """What decides the class or the findings of a case; None: the most likely class, findings above one half."""

    @property
    def pools(self) -> bool:
        """Whether slices are put together otherwise than by their mean."""
        return self.slices.needs_positive

    def positive_index(self, problem: Problem) -> int | None:
        """The number of the class that slices or the operating point are about; None where nothing is."""
        name = self.point.positive if isinstance(self.point, OperatingPoint) else self.positive
        asked = self.pools or isinstance(self.point, OperatingPoint)
        return problem.classes.index(name) if asked and name is not None else None

    @property
    def threshold(self) -> float | None:
        """What the probability of the positive class is held against; None where the most likely class is told."""
        return self.point.threshold.value if isinstance(self.point, OperatingPoint) else None

    def thresholds(self, problem: Problem) -> list[float | None]:
        """What the probability of each finding is held against; None where it has to be above one half."""
        points = self.point.points if isinstance(self.point, FindingPoints) else {}
        return [points[name].threshold.value if name in points else None for name in problem.classes]

    def described(self, problem: Problem) -> dict[str, Any]:
        """The part of model.json that tells of this."""
        told: dict[str, Any] = {"temperature": self.temperature}
        if not problem.dense:
            told["slices"] = self.slices.model_dump(mode="json")
        if problem.kind == "classification":
            told |= {"positive": self.positive_index(problem), "threshold": self.threshold}
        if problem.kind == "multilabel":
            told["thresholds"] = self.thresholds(problem)
        return told


AS_THEY_ARE = Decisions()
"""Raw probabilities, the mean of slices and the most likely class."""
