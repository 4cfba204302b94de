"""Several losses as one: their weighted sum, which a configuration writes as a list."""

from typing import Annotated, Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field, PlainSerializer
from torch import nn

from hilum.losses.base import LossConfig
from hilum.losses.dice_ce import WeightedSum
from hilum.problem import Problem


class TotalLossConfig(LossConfig):
    """The sum of several losses of the same logits and targets, each times its weight."""

    losses: Annotated[tuple[LossConfig, ...], Field(min_length=1)]
    """The losses."""

    @property
    def needs_fit(self) -> bool:
        """Whether one of the losses has weights that have yet to be found."""
        return any(loss.needs_fit for loss in self.losses)

    def fitted_to(self, inside: npt.NDArray[np.int64], seen: npt.NDArray[np.int64], problem: Problem) -> Self:
        """The losses with their balanced weights written out."""
        fitted = tuple(loss.fitted_to(inside, seen, problem) if loss.needs_fit else loss for loss in self.losses)
        return self.model_copy(update={"losses": fitted})

    def build(self, problem: Problem) -> nn.Module:
        """The weighted sum of what the losses build."""
        return WeightedSum([loss.build(problem) for loss in self.losses], weights=[loss.weight for loss in self.losses])

    def faults(self, problem: Problem) -> list[str]:
        """Why one of the losses cannot be used for `problem`, or all of them together."""
        faults = [fault for loss in self.losses for fault in loss.faults(problem)]
        if not any(loss.weight for loss in self.losses):
            faults.append("weight: is 0 for every loss, at least one has to be above")
        return faults


def _as_total(given: Any) -> Any:
    """A list is the sum of its losses."""
    return TotalLossConfig.model_validate({"losses": given}) if isinstance(given, list | tuple) else given


def _as_written(loss: LossConfig) -> Any:
    dumped = loss.model_dump(mode="json")
    return dumped["losses"] if isinstance(loss, TotalLossConfig) else dumped


Loss = Annotated[
    LossConfig,
    BeforeValidator(_as_total, json_schema_input_type=LossConfig | tuple[LossConfig, ...]),
    PlainSerializer(_as_written),
]
"""One loss, or a list of them with weights."""


def loss_faults(loss: LossConfig, problem: Problem) -> list[str]:
    """Why what the section `loss` says cannot be used for `problem`."""
    alone = not isinstance(loss, TotalLossConfig) and loss.weight != 1
    message = (
        f"weight: received {loss.weight:g} for the only loss, where there is nothing to weigh it against: remove it"
    )
    return [*loss.faults(problem), *([message] if alone else [])]
