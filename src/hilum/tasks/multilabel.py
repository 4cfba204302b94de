"""Multilabel classification: several findings in one image, each present or not."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hilum.case import Cohort
from hilum.problem import Problem
from hilum.tasks.base import Classes, TaskConfig, no_shared_values
from hilum.tasks.strata import rarest_findings


class MultilabelConfig(TaskConfig, kind="multilabel"):
    """Several findings in a whole image or scan, each present or not, whatever the others are."""

    classes: Annotated[Classes, Field(min_length=1), AfterValidator(no_shared_values)]
    """Names of the findings, and the texts that stand for each in a column that lists those present."""
    separator: Annotated[str, Field(min_length=1)] = "|"
    """What stands between the findings of such a column, as in "Edema|Effusion"."""
    nothing: tuple[str, ...] = ("No Finding",)
    """Texts that say there is none of them."""
    others: Literal["refuse", "ignore"] = "refuse"
    """What is done about texts of such a column that are none of the findings: ignore is for data sets that list more
    than are asked for."""

    def problem(self, *, channels: tuple[str, ...], dims: int, size: tuple[int, ...] | None) -> Problem:
        """The problem for inputs of these channels, dimensions and (where it is fixed) size."""
        return Problem(
            kind="multilabel",
            dims=dims,
            channels=channels,
            classes=tuple(self.classes),
            values=tuple(self.classes.values()),
            exclusive=False,
            size=size,
            separator=self.separator,
            nothing=self.nothing,
            others=self.others == "ignore",
        )

    def strata(self, cohort: Cohort) -> dict[str, str]:
        """By case id, the rarest finding of its patient."""
        return rarest_findings(cohort.cases, self.problem(channels=("image",), dims=2, size=None))
