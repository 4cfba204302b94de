"""What becomes of the probabilities of an exported network: slices put together, a temperature, and a decision."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hilum.evaluation.aggregates.mean import MeanAggregate

if TYPE_CHECKING:
    from hilum.evaluation.aggregates.base import AggregateConfig
    from hilum.evaluation.decision import OperatingPoint
    from hilum.problem import Problem

AGGREGATES = ("mean", "max", "noisy_or", "top_k")
"""The ways to put slices together that the runner and the bundle know."""


@dataclass(frozen=True)
class Decisions:
    """All that was chosen on validation, or declared, about the probabilities of a case."""

    temperature: float = 1.0
    """What all logits are divided by, last of all."""
    slices: AggregateConfig = field(default_factory=MeanAggregate)
    """How a 2D network's probabilities of slices become those of their volume."""
    positive: str | None = None
    """The class that single slices can prove, where `slices` needs one."""
    point: OperatingPoint | None = None
    """What decides the class of a case; None: the most likely one."""

    @property
    def pools(self) -> bool:
        """Whether slices are put together otherwise than by their mean."""
        return self.slices.needs_positive

    def positive_index(self, problem: Problem) -> int | None:
        """The number of the class that slices or the operating point are about; None where nothing is."""
        name = self.positive if self.point is None else self.point.positive
        asked = self.pools or self.point is not None
        return problem.classes.index(name) if asked and name is not None else None

    def described(self, problem: Problem) -> dict[str, Any]:
        """The part of model.json that tells of this."""
        if problem.kind != "classification":
            return {"temperature": self.temperature}
        return {
            "temperature": self.temperature,
            "slices": self.slices.model_dump(mode="json"),
            "positive": self.positive_index(problem),
            "threshold": None if self.point is None else self.point.threshold.value,
        }


AS_THEY_ARE = Decisions()
"""Raw probabilities, the mean of slices and the most likely class."""
