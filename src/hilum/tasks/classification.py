"""Classification: one class for a whole image or scan."""

from typing import Annotated

from pydantic import AfterValidator, Field

from hilum.problem import Problem, Value
from hilum.tasks.base import Classes, TaskConfig, no_shared_values


def _no_name_of_another(classes: dict[str, tuple[Value, ...]]) -> dict[str, tuple[Value, ...]]:
    """The classes, unless the name of one is a label value of another (ValueError): a table may hold either."""
    for name in classes:
        owner = next((other for other, values in classes.items() if name in map(str, values)), name)
        if owner != name:
            raise ValueError(f"names that are no label value of another class, '{name}' is a value of '{owner}'")
    return classes


class ClassificationConfig(TaskConfig, kind="classification"):
    """One class for a whole image or scan."""

    classes: Annotated[
        Classes, Field(min_length=2), AfterValidator(no_shared_values), AfterValidator(_no_name_of_another)
    ]
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
