"""Early stopping: how long validation has stood still, as a state that a checkpoint keeps."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

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

    def add(self, score: float, settings: EarlyStoppingConfig, *, higher_is_better: bool) -> None:
        """Take note of a validation's score; NaN is never better."""
        gain = math.inf if self.score is None else (score - self.score) * (1 if higher_is_better else -1)
        if not math.isnan(score) and gain > settings.min_delta:
            self.score, self.waited = score, 0
        else:
            self.waited += 1
