"""Learning-rate schedules as pure functions of the step: nothing to save, nothing to resume."""

import math
from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from hilum.registry import Component


class ScheduleConfig(Component, family="schedules"):
    """How the learning rate changes over a run."""

    warmup: NonNegativeInt | Annotated[float, Field(gt=0, lt=1)] = 0
    """Steps over which the learning rate rises linearly to its highest value; below 1 as a share of all steps, such as
    0.05, which suits runs of any length."""

    def warmup_steps(self, total_steps: int) -> int:
        """The steps of warm-up in a run of so many steps."""
        return self.warmup if isinstance(self.warmup, int) else int(self.warmup * total_steps)

    def factor(self, step: int, total_steps: int) -> float:
        """What the highest learning rate is multiplied by at `step` (from 0) of `total_steps`."""
        warmup = self.warmup_steps(total_steps)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        length = max(1, total_steps - warmup)
        return self.shape(min(1.0, (step - warmup) / length))

    def shape(self, progress: float) -> float:
        """The factor after warm-up, where `progress` goes from 0 to 1."""
        raise NotImplementedError


class ConstantConfig(ScheduleConfig, kind="constant"):
    """The same learning rate throughout, after warm-up."""

    def shape(self, progress: float) -> float:
        """Always 1."""
        return 1.0


class StepConfig(ScheduleConfig, kind="step"):
    """The learning rate falls by a factor several times, at equal distances."""

    drops: PositiveInt = 3
    """How often it falls over the run."""
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """What it is multiplied by each time."""

    def shape(self, progress: float) -> float:
        """gamma to the number of drops so far."""
        return self.gamma ** min(self.drops, math.floor(progress * (self.drops + 1)))


class CosineConfig(ScheduleConfig, kind="cosine"):
    """Half a cosine from the highest to the lowest learning rate (Loshchilov and Hutter 2017)."""

    floor: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the highest learning rate that is left at the end."""

    def shape(self, progress: float) -> float:
        """From 1 to `floor`."""
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * progress))


class PolyConfig(ScheduleConfig, kind="poly"):
    """(1 - progress) to a power, as in DeepLab and nnU-Net."""

    power: PositiveFloat = 0.9
    """The exponent; 1 is a straight line."""

    def shape(self, progress: float) -> float:
        """From 1 to 0."""
        return float((1 - progress) ** self.power)
