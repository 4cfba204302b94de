"""How long validation has stood still, as a state that a checkpoint keeps: early stopping, and lowering the rate."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from hilum.optim.schedules import PlateauConfig
from hilum.training.settings import EarlyStoppingConfig


@dataclass
class Stillness:
    """The best score so far by enough, and the validations since."""

    score: float | None = None
    waited: int = 0

    @property
    def facts(self) -> dict[str, Any]:
        """The state as JSON."""
        return asdict(self)

    def add(self, score: float, settings: EarlyStoppingConfig | PlateauConfig, *, higher_is_better: bool) -> None:
        """Take note of a validation's score; NaN is never better."""
        gain = math.inf if self.score is None else (score - self.score) * (1 if higher_is_better else -1)
        if not math.isnan(score) and gain > settings.min_delta:
            self.score, self.waited = score, 0
        else:
            self.waited += 1


@dataclass
class Lowering:
    """How often a `plateau` schedule has lowered the learning rate, and the validations since."""

    drops: int = 0
    stillness: Stillness = field(default_factory=Stillness)

    @property
    def facts(self) -> dict[str, Any]:
        """The state as JSON."""
        return asdict(self)

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> Lowering:
        """The state that `facts` were written from; that of the start where there are none."""
        return cls(facts["drops"], Stillness(**facts["stillness"])) if facts else cls()

    def add(self, score: float, settings: PlateauConfig, *, higher_is_better: bool) -> None:
        """Take note of a validation's score: after `patience` of them without a better one, the rate falls again."""
        self.stillness.add(score, settings, higher_is_better=higher_is_better)
        if self.stillness.waited >= settings.patience:
            self.drops += 1
            self.stillness.waited = 0
