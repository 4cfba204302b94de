"""Those sections of a YAML file that describe other data, or the outputs of another tool, to be scored."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from hilum.evaluation.section import EvaluateConfig
from hilum.metrics.base import MetricConfig
from hilum.settings import Settings
from hilum.sources.base import SourceConfig
from hilum.tasks.base import TaskConfig

SCORING_NAME = "scoring.yaml"
"""Beside the tables of other data, or of another tool's outputs: how they were scored."""
DATA_NAME = "data.yaml"
"""Beside the tables of other data: where they are."""


def _as_list(received: object) -> object:
    return [received] if isinstance(received, str | dict) else received


class OtherSource(Settings):
    """Where other cases come from."""

    source: SourceConfig
    """A source as in `data.source`."""


class OtherTask(Settings):
    """What other cases are labelled with."""

    task: TaskConfig
    """A task as in `task`."""


class ScoringConfig(Settings):
    """How the outputs of any tool are scored."""

    task: TaskConfig
    """The classes and their label values."""
    metrics: Annotated[tuple[MetricConfig, ...], Field(min_length=1), BeforeValidator(_as_list)]
    """The scores."""
    evaluate: EvaluateConfig = EvaluateConfig()
    """How sure scores are said to be."""
