"""Classification: one class for a whole image or scan."""

from typing import Annotated

from pydantic import AfterValidator, Field

from hilum.problem import Problem
from hilum.tasks.base import Classes, TaskConfig, no_shared_values


class ClassificationConfig(TaskConfig, kind="classification"):
    """One class for a whole image or scan."""

    classes: Annotated[Classes, Field(min_length=2), AfterValidator(no_shared_values)]
    """Class names and the label text or number that stands for each; a bare list numbers from 0."""

    def problem(self, *, channels: tuple[str, ...], dims: int, size: tuple[int, ...] | None) -> Problem:
        """The problem for inputs of these channels, dimensions and (where it is fixed) size."""
        return Problem(
            kind="classification",
            dims=dims,
            channels=channels,
            classes=tuple(self.classes),
            values=tuple(self.classes.values()),
            size=size,
        )
