"""Regression: one number or several for a whole image or scan, each in its own unit."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from hilum.case import Cohort
from hilum.problem import Problem
from hilum.tasks.base import TaskConfig
from hilum.tasks.strata import quarters


def _as_units(received: Any) -> Any:
    """A bare list has names without units; a single name is one number."""
    if isinstance(received, str):
        return {received: ""}
    if isinstance(received, list | tuple) and all(isinstance(name, str) for name in received):
        if len(set(received)) != len(received):
            raise ValueError("every number named once")
        return dict.fromkeys(received, "")
    return received


class RegressionConfig(TaskConfig, kind="regression"):
    """One number or several for a whole image or scan, each in its own unit."""

    targets: Annotated[
        dict[str, str],
        Field(min_length=1),
        BeforeValidator(_as_units, json_schema_input_type=str | list[str] | dict[str, str]),
    ]
    """The numbers and their units, as in {age: years, volume: ml}; a name or a list where they have none."""
    standardise: bool = True
    """Learn each number as standard deviations from its mean in the training part, which the weights keep; what is
    predicted and scored is in its own unit either way. Without it the network has to find scale and offset itself."""

    def problem(self, *, channels: tuple[str, ...], dims: int, size: tuple[int, ...] | None) -> Problem:
        """The problem for inputs of these channels, dimensions and (where it is fixed) size; its scales unknown yet."""
        return Problem(
            kind="regression",
            dims=dims,
            channels=channels,
            classes=tuple(self.targets),
            values=tuple(() for _ in self.targets),
            exclusive=False,
            size=size,
            units=tuple(self.targets.values()),
        )

    @property
    def standardises(self) -> bool:
        """Whether the scales of the problem have to be found in the training part."""
        return self.standardise

    def strata(self, cohort: Cohort) -> dict[str, str]:
        """By case id, the quarter of the patients that its patient's first number is in."""
        return quarters(cohort.cases, self.problem(channels=("image",), dims=2, size=None))
