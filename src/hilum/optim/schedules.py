"""Learning-rate schedules as pure functions of the step: nothing to save or resume, the drops of plateau aside."""

import math
from typing import Annotated

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from hilum.registry import Component

ROUNDING = 1e-9
"""What a share of the run may lack of a given one and still count as having reached it."""


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


class MultiStepConfig(ScheduleConfig, kind="multistep"):
    """The learning rate falls by a factor at given shares of the run."""

    at: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=1)] = (0.5, 0.75)
    """Shares of the run, after warm-up, at which it falls, in rising order."""
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """What it is multiplied by each time."""

    @field_validator("at")
    @classmethod
    def _rising(cls, received: tuple[float, ...]) -> tuple[float, ...]:
        if list(received) != sorted(set(received)):
            raise ValueError("shares in rising order, such as [0.5, 0.75]")
        return received

    def shape(self, progress: float) -> float:
        """gamma to the number of shares reached so far."""
        return self.gamma ** sum(progress >= share - ROUNDING for share in self.at)


class ExponentialConfig(ScheduleConfig, kind="exponential"):
    """The learning rate falls by the same factor in every step."""

    floor: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Share of the highest learning rate that is left at the end."""

    def shape(self, progress: float) -> float:
        """From 1 to `floor`, by equal factors."""
        return float(self.floor**progress)


class OneCycleConfig(ScheduleConfig, kind="one_cycle"):
    """Half a cosine up, half a cosine down to nearly nothing (Smith and Topin 2019, arXiv:1708.07120).

    The learning rate alone: torch's scheduler of that name also turns the momentum the other way.
    """

    rise: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of the run over which it rises."""
    start: Annotated[float, Field(gt=0, lt=1)] = 0.04
    """Share of the highest learning rate at the beginning."""
    floor: Annotated[float, Field(gt=0, lt=1)] = 4e-6
    """Share of the highest learning rate that is left at the end."""

    def shape(self, progress: float) -> float:
        """From `start` to 1 to `floor`."""
        if progress < self.rise:
            low, part = self.start, 1 - progress / self.rise
        else:
            low, part = self.floor, (progress - self.rise) / (1 - self.rise)
        return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * part))


class PlateauConfig(ScheduleConfig, kind="plateau"):
    """The learning rate falls by a factor when validation has stood still for a while.

    How often it fell is a state, which the checkpoint keeps; within an epoch it is a pure function of the step.
    """

    patience: PositiveInt = 10
    """Validations in a row without a better score after which the learning rate falls."""
    min_delta: NonNegativeFloat = 0.0
    """What a score has to be better by to count."""
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """What the learning rate is multiplied by each time."""
    floor: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the highest learning rate below which it never falls."""

    def shape(self, progress: float) -> float:
        """Always 1: the validations decide, see `lowered`."""
        return 1.0

    def lowered(self, drops: int) -> float:
        """The factor after so many drops."""
        return max(self.floor, self.gamma**drops)


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
