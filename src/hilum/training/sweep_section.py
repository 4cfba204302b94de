"""The section `sweep` of a configuration: which settings `hilum sweep` tries, how many, and how it searches."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Tag,
    model_validator,
)

from hilum.settings import Settings

DEFAULT_TRIALS = 20
RANGE_KEYS = {"low", "high", "log", "step"}


class RangeConfig(Settings):
    """Numbers from `low` to `high`, both included: whole numbers where both are written as whole numbers."""

    low: int | float
    """The smallest number."""
    high: int | float
    """The largest number."""
    log: bool = False
    """Draw so that every power of ten is as likely as the others; for learning rates and the like."""
    step: PositiveInt | PositiveFloat | None = None
    """Distance between neighbours; by default 1 between whole numbers, and any number otherwise."""

    @property
    def whole(self) -> bool:
        """Whether whole numbers are drawn."""
        return all(isinstance(number, int) for number in (self.low, self.high, self.step or 1))

    @property
    def count(self) -> int | None:
        """How many numbers there are; None where there is no end to them."""
        if self.step is None and not self.whole:
            return None
        return round((self.high - self.low) / (self.step or 1)) + 1

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low below high")
        if self.log and self.low <= 0:
            raise ValueError("low above 0, since log draws between powers of ten")
        if self.log and self.step is not None:
            raise ValueError("log or step, not both")
        if self.step is not None and abs((self.high - self.low) / self.step % 1 - 0.5) < 0.5 - 1e-6:
            raise ValueError("high a whole number of steps above low")
        return self


def _flat(received: Any) -> Any:
    """A space with dotted keys, of one that may be nested, as overrides on the command line make it."""
    return dict(_leaves(received, ())) if isinstance(received, dict) else received


def _leaves(received: dict[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for key, value in received.items():
        if isinstance(value, dict) and not value.keys() & RANGE_KEYS and value:
            yield from _leaves(value, (*above, key))
        else:
            yield ".".join((*above, key)), value


def _form(received: Any) -> str:
    return "range" if isinstance(received, dict | RangeConfig) else "list"


Axis = Annotated[
    Annotated[RangeConfig, Tag("range")] | Annotated[tuple[Any, ...], Field(min_length=1), Tag("list")],
    Discriminator(_form),
]


class SweepConfig(Settings):
    """Which settings `hilum sweep` tries; every other verb leaves this section alone."""

    space: Annotated[
        dict[str, Axis],
        Field(min_length=1),
        BeforeValidator(_flat, json_schema_input_type=dict[str, Any]),
    ]
    """For each key, such as optimizer.lr, a list of values or a range: {low: 1e-4, high: 1e-2, log: true}."""
    trials: PositiveInt | None = None
    """How many settings are tried; by default 20, or all of a grid."""
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    """How settings are chosen: from what earlier trials scored (tpe), at random, or all combinations (grid)."""
    pruner: Literal["median", "none"] = "median"
    """Whether a trial ends early that scores below the median of the others after as many epochs."""
    startup: NonNegativeInt = 5
    """Trials before the sampler learns from others; as many have to be complete before one is pruned."""
    warmup_epochs: NonNegativeInt | None = None
    """Epochs in which no trial is pruned; by default a quarter of train.epochs."""
    seed: NonNegativeInt = 17
    """Seed of the choice of settings; what a trial draws is seeded by runtime.seed, the same for all."""
    storage: str | None = None
    """URL of an Optuna storage that several machines can reach; by default a SQLite file in the sweep's folder."""
