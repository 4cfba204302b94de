"""A step that cannot be taken because its loss or its gradient is no number: which, and on whose scans."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hilum.errors import TrainingError


@dataclass(frozen=True)
class Spoilt:
    """A step whose loss or gradient was NaN or infinite, and the cases of its batches on all ranks."""

    epoch: int
    step: int
    what: str
    value: float
    cases: tuple[str, ...]

    @property
    def facts(self) -> dict[str, Any]:
        """The step as JSON."""
        return asdict(self) | {"value": str(self.value)}  # JSON has no NaN

    def __str__(self) -> str:
        cases = ", ".join(self.cases)
        return f"the {self.what} became {self.value} in epoch {self.epoch}, step {self.step}, on the cases {cases}"


class SpoiltError(TrainingError):
    """Training stopped at a spoilt step."""

    def __init__(self, spoilt: Spoilt, why: str = "") -> None:
        self.spoilt = spoilt
        super().__init__(
            f"{spoilt}{why}. Checkpoints written before are good: look at these cases, lower optimizer.lr, "
            "set train.clip_norm=1 or runtime.precision=float32, and resume"
        )
