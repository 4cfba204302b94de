"""A time budget as a number of steps: what was measured once, and how many steps fit with all that belongs to them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import asdict, dataclass
from typing import Any

from hilum.errors import ConfigError


@dataclass(frozen=True)
class Costs:
    """Seconds that were measured: of a step, of what each epoch adds, of a validation, and of measuring itself."""

    step_s: float
    epoch_s: float
    validation_s: float
    measuring_s: float


@dataclass(frozen=True)
class Budget:
    """How many steps a time was converted to, and on which grounds."""

    minutes: float
    steps: int
    costs: Costs

    @property
    def facts(self) -> dict[str, Any]:
        """The budget as JSON."""
        return asdict(self)

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> Budget:
        """The budget that JSON holds."""
        return cls(facts["minutes"], facts["steps"], Costs(**facts["costs"]))

    def __str__(self) -> str:
        costs = self.costs
        return (
            f"train.minutes: {self.minutes:g} min are {self.steps} steps, at {costs.step_s:.3g} s a step, "
            f"{costs.epoch_s:.2g} s more an epoch, {costs.validation_s:.3g} s a validation, as measured in "
            f"{costs.measuring_s:.2g} s; a resumed run keeps this number"
        )


def budget_of(minutes: float, costs: Costs, *, steps_per_epoch: int, validate_every: int) -> Budget:
    """The most steps that end within a time, with epochs of `steps_per_epoch`, of which the last may be shorter.

    Raises ConfigError where not even one step and a validation fit.
    """

    def seconds(steps: int) -> float:
        epochs = -(-steps // steps_per_epoch)
        validations = -(-epochs // validate_every)  # the last epoch is always validated
        return costs.measuring_s + steps * costs.step_s + epochs * costs.epoch_s + validations * costs.validation_s

    steps = bisect_right(range(1, int(minutes * 60 / costs.step_s) + 2), minutes * 60, key=seconds)
    if not steps:
        raise ConfigError(
            f"train.minutes: received {minutes:g}, but measuring, one step and one validation take "
            f"{seconds(1) / 60:.2g} min: give more time"
        )
    return Budget(minutes, steps, costs)
