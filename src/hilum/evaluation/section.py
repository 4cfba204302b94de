"""The evaluate section of the YAML: how sure scores are said to be, and which groups are scored apart."""

from typing import Annotated

from pydantic import BeforeValidator, Field, NonNegativeInt

from hilum.case import Cohort
from hilum.data.splits.strata import ColumnConfig, values_of
from hilum.errors import SplitError
from hilum.evaluation.intervals import Bootstrap, Method
from hilum.settings import Settings


def _as_list(received: object) -> object:
    return [received] if isinstance(received, str | dict) else received


Columns = Annotated[
    tuple[str | ColumnConfig, ...],
    BeforeValidator(_as_list, json_schema_input_type=tuple[str | ColumnConfig, ...] | str | ColumnConfig),
]


class EvaluateConfig(Settings):
    """How sure scores are said to be, and which groups are scored apart."""

    interval: Method = "auto"
    """auto: areas under the ROC curve by DeLong and Obuchowski, shares of cases by Wilson, everything else by BCa.
    bca or percentile: that bootstrap for all scores."""
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Share of cohorts whose interval shall hold the true value."""
    resamples: Annotated[int, Field(ge=200)] = 2000
    """How often the patients are drawn for a bootstrap."""
    seed: NonNegativeInt = 0
    """Seed of these draws."""
    by: Columns = ()
    """Columns of the data, such as site or sex, whose values are scored as groups of their own; `label` is the class. A
    column of many numbers needs `{column: age, bins: 4}`."""

    def faults(self, cohort: Cohort) -> list[tuple[tuple[str | int, ...], str]]:
        """What is wrong with `by` for this cohort, with its place in the configuration."""
        try:
            values_of(cohort.cases, cohort.labels, self.by)
        except SplitError as error:
            return [(("evaluate", "by"), str(error).removeprefix("stratify: "))]
        return []

    @property
    def bootstrap(self) -> Bootstrap:
        """The draws of patients that these settings mean."""
        return Bootstrap(self.resamples, self.level, self.seed, self.interval)
