"""The operating point of least expected cost."""

from typing import Annotated

from pydantic import Field, PositiveFloat

from hilum.evaluation.operating_points.base import Floats, OperatingPointConfig


class CostPoint(OperatingPointConfig, kind="cost"):
    """Least expected cost of wrong decisions (Metz 1978; Elkan 2001)."""

    false_negative: PositiveFloat
    """What it costs to overlook a positive case, in any unit."""
    false_positive: PositiveFloat
    """What a false alarm costs, in the same unit."""
    prevalence: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of positive cases where the decisions will be made; by default as in the validation part."""

    def worth(self, sensitivity: Floats, specificity: Floats, prevalence: float) -> Floats:
        """What a case costs on average, with a minus."""
        share = prevalence if self.prevalence is None else self.prevalence
        overlooked = self.false_negative * share * (1 - sensitivity)
        return -(overlooked + self.false_positive * (1 - share) * (1 - specificity))
