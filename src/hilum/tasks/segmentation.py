"""Segmentation: a class for every voxel, or overlapping regions."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from hilum.problem import Problem, Value
from hilum.tasks.base import Classes, TaskConfig, no_shared_values


class SegmentationConfig(TaskConfig, kind="segmentation"):
    """A class for every voxel (exclusive classes), or overlapping regions."""

    classes: Annotated[Classes, AfterValidator(no_shared_values)] | None = None
    """Exclusive classes, background first, and their label values; a bare list numbers from 0."""
    regions: Annotated[Classes, Field(min_length=1)] | None = None
    """Overlapping regions (sigmoid) and their label values, as in {whole: [1, 2, 4], core: [1, 4]}; 0 is background."""
    ignore: int | None = None
    """A label value that no loss and no score sees."""

    @model_validator(mode="after")
    def _one_of_classes_and_regions(self) -> Self:
        if (self.classes is None) == (self.regions is None):
            raise ValueError("either classes (exclusive) or regions (overlapping)")
        groups = self.classes or self.regions or {}
        if self.classes is not None and len(self.classes) < 2:
            raise ValueError("classes with a background and at least one structure")
        for name, values in groups.items():
            for value in values:
                if not isinstance(value, int):
                    raise ValueError(f"integers as label values, '{name}' has {value!r}")
                if value == self.ignore:
                    raise ValueError(f"an ignore value that no class has, {value} is also in '{name}'")
        if self.regions is not None and any(0 in values for values in self.regions.values()):
            raise ValueError("regions without the label value 0, which is the background of all regions")
        return self

    def problem(self, *, channels: tuple[str, ...], dims: int, size: tuple[int, ...] | None) -> Problem:
        """The problem for inputs of these channels, dimensions and (where it is fixed) size."""
        groups: dict[str, tuple[Value, ...]] = self.classes or self.regions or {}
        return Problem(
            kind="segmentation",
            dims=dims,
            channels=channels,
            classes=tuple(groups),
            values=tuple(groups.values()),
            exclusive=self.classes is not None,
            ignore=self.ignore,
            size=size,
        )
