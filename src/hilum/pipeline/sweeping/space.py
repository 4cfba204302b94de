"""The settings that a sweep may try: what Optuna draws from, all combinations, and whether the schema takes them."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum.errors import ConfigError, Fault
from hilum.experiment import Experiment, diagnose
from hilum.random import generator
from hilum.training.sweep_section import RangeConfig, SweepConfig

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

FIXED = {
    "name": "it names the folder of a run",
    "runs": "it is where the sweep itself lies",
    "plugins": "they are loaded once",
    "sweep": "a sweep does not try sweeps",
    "metrics": "scores of different metrics cannot be compared",
    "train.monitor": "scores of different metrics cannot be compared",
}
"""Keys that no sweep may try, and why."""
PARTING = ("data.source", "data.split", "task")
"""Keys that decide which cases are validated on, or what a score means."""
MOST_CHECKED = 64
"""Combinations that the schema is asked about before any compute; those of a larger space are a sample."""
GOLDEN = 0.381966
"""Where within a range a number is looked at that is neither an end nor the middle."""

Setting = dict[str, Any]
"""A value for each key of the space."""


@dataclass(frozen=True)
class Axis:
    """One key of the space. Optuna knows the values of a list by their text, so that its dashboard shows them."""

    key: str
    given: RangeConfig | tuple[Any, ...]

    @property
    def distribution(self) -> BaseDistribution:
        """What Optuna draws from."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if not isinstance(self.given, RangeConfig):
            return CategoricalDistribution([text_of(value) for value in self.given])
        low, high, log, step = self.given.low, self.given.high, self.given.log, self.given.step
        if self.given.whole:
            return IntDistribution(int(low), int(high), log=log, step=int(step or 1))
        return FloatDistribution(low, high, log=log, step=step)

    def value(self, drawn: Any) -> Any:
        """The setting that stands behind what Optuna drew."""
        if isinstance(self.given, RangeConfig):
            return drawn
        return next(value for value in self.given if text_of(value) == drawn)

    @property
    def values(self) -> list[Any] | None:
        """All values, as Optuna knows them; None where there is no end to them."""
        if not isinstance(self.given, RangeConfig):
            return [text_of(value) for value in self.given]
        if self.given.count is None:
            return None
        numbers = [self.given.low + index * (self.given.step or 1) for index in range(self.given.count)]
        return numbers if self.given.whole else [float(f"{number:.12g}") for number in numbers]

    @property
    def tried(self) -> list[Any]:
        """Settings that the schema is asked about: each of a list, the ends of a range and one number inside."""
        if not isinstance(self.given, RangeConfig):
            return list(self.given)
        low, high = self.given.low, self.given.high
        ends = [low, high] if self.given.whole else [float(low), float(high)]
        return ends if self.given.count else [*ends, low + GOLDEN * (high - low)]


@dataclass(frozen=True)
class Space:
    """All keys that are tried, in the order of the file."""

    axes: tuple[Axis, ...]

    @property
    def keys(self) -> list[str]:
        """The keys that are tried."""
        return [axis.key for axis in self.axes]

    @property
    def count(self) -> int | None:
        """How many combinations there are; None where there is no end to them."""
        counts = [axis.given.count if isinstance(axis.given, RangeConfig) else len(axis.given) for axis in self.axes]
        known = [count for count in counts if count is not None]
        return math.prod(known) if len(known) == len(counts) else None

    def combination(self, index: int) -> Setting:
        """The combination number `index` of a grid, as Optuna knows it; the last key changes fastest."""
        drawn: Setting = {}
        for axis in reversed(self.axes):
            values = axis.values or []
            index, spot = divmod(index, len(values))
            drawn[axis.key] = values[spot]
        return {key: drawn[key] for key in self.keys}

    def setting(self, drawn: Mapping[str, Any]) -> Setting:
        """The settings behind what Optuna drew."""
        return {axis.key: axis.value(drawn[axis.key]) for axis in self.axes}


def space_of(sweep: SweepConfig) -> Space:
    """The space of the section `sweep`."""
    return Space(tuple(Axis(key, given) for key, given in sweep.space.items()))


def text_of(value: Any) -> str:
    """A value as one line of YAML: text as it is, numbers so that they read back as the same number."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def overrides_of(setting: Mapping[str, Any]) -> list[str]:
    """Settings as overrides of the command line."""
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in setting.items()]


def refuse_misfits(file: Path, overrides: Sequence[str], experiment: Experiment, sweep: SweepConfig) -> None:
    """Raise ConfigError with everything that is wrong with the space, each with its place in the file.

    The schema reads every value of a list, the ends of every range and one number inside it, in all combinations or,
    of more than 64, in a seeded sample in which each value occurs.
    """
    document = diagnose(file, overrides).document
    space, faults = space_of(sweep), list[Fault]()

    def place(key: str) -> str:
        spots = [("sweep", "space", key), ("sweep", "space", *key.split("."))]
        return next((document.places[spot] for spot in spots if spot in document.places), document.where(spots[0][:2]))

    for key, message in [*_forbidden(space, overrides), *_ambiguous(file, overrides, space), *_count_faults(sweep)]:
        faults.append(Fault(place(key), f"sweep.space.{key}" if key in space.keys else key, message))
    for setting in [] if faults else _samples(space, sweep.seed):
        reading = diagnose(file, [*overrides, *overrides_of(setting)])
        found = [_placed(fault, setting, place=place) for fault in reading.faults]
        if reading.model is not None and not found and reading.model.monitor != experiment.monitor:
            found = [Fault(place(space.keys[0]), "sweep.space", FIXED["train.monitor"])]
        faults += [fault for fault in found if fault not in faults]
    if faults:
        raise ConfigError(_fewest(faults))


def _forbidden(space: Space, overrides: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Keys that cannot be tried: fixed ones, a key and one inside it, and those set on the command line."""
    set_keys = [text.partition("=")[0].strip() for text in overrides]
    for index, key in enumerate(space.keys):
        fixed = next((fixed for fixed in FIXED if touches(fixed, key)), None)
        if fixed is not None:
            yield key, f"'{fixed}' is the same for all trials: {FIXED[fixed]}"
        for other in space.keys[:index]:
            if touches(key, other):
                yield key, f"stands inside '{other}' or around it, which is tried too: keep one of them"
        for given in set_keys:
            if touches(key, given):
                yield key, f"is set to one value by {given}=... on the command line: remove one of them"
        axis = space.axes[index]
        texts = [] if isinstance(axis.given, RangeConfig) else [text_of(value) for value in axis.given]
        for text in sorted({text for text in texts if texts.count(text) > 1}):
            yield key, f"lists {text} twice: remove one of them"


def _ambiguous(file: Path, overrides: Sequence[str], space: Space) -> Iterator[tuple[str, str]]:
    """Ranges with whole ends where the key takes fractions too: nobody knows which of them are meant."""
    for axis in space.axes:
        if not isinstance(axis.given, RangeConfig) or not axis.given.whole or axis.given.step is not None:
            continue
        inside = axis.given.low + GOLDEN * (axis.given.high - axis.given.low)
        if not any(axis.key in fault.field for fault in diagnose(file, [*overrides, f"{axis.key}={inside}"]).faults):
            low, high = axis.given.low, axis.given.high
            yield axis.key, f"this key takes fractions: write {low}.0 and {high}.0, or step: 1 for whole numbers only"


def _count_faults(sweep: SweepConfig) -> Iterator[tuple[str, str]]:
    space = space_of(sweep)
    for axis in space.axes if sweep.sampler == "grid" else ():
        if isinstance(axis.given, RangeConfig) and axis.given.count is None:
            yield axis.key, "a grid needs a list, or a range with a step"
        if isinstance(axis.given, RangeConfig) and axis.given.log:
            yield axis.key, "a grid counts in even steps: write a list instead of log: true"
    if sweep.trials is None or space.count is None:
        return
    if sweep.sampler == "grid" and sweep.trials != space.count:
        yield "sweep.trials", f"received {sweep.trials}, the grid has {space.count}: remove the key"
    elif sweep.trials > space.count:
        message = f"received {sweep.trials}, there are only {space.count} combinations: lower it, or use sampler: grid"
        yield "sweep.trials", message


def _samples(space: Space, seed: int) -> Iterator[Setting]:
    """Settings that together hold every value of every key; all combinations where they are few."""
    tried = {axis.key: axis.tried for axis in space.axes}
    if math.prod(len(values) for values in tried.values()) <= MOST_CHECKED:
        for combination in itertools.product(*tried.values()):
            yield dict(zip(tried, combination, strict=True))
        return
    first = {key: values[0] for key, values in tried.items()}
    for key, values in tried.items():
        yield from ({**first, key: value} for value in values)
    for index in range(MOST_CHECKED):
        rng = generator(seed, 0, index, "sweep sample")
        yield {key: values[int(rng.integers(len(values)))] for key, values in tried.items()}


def _placed(fault: Fault, setting: Setting, *, place: Any) -> Fault:
    """A fault of a trial's configuration, at the line of the space that brought it about."""
    said = ", ".join(f"{key}={text_of(value)}" for key, value in setting.items())
    for key, word in zip(setting, overrides_of(setting), strict=True):
        if fault.where != f"command line: {word}":
            continue
        if fault.message.startswith("unknown key"):  # whatever its value
            return Fault(place(key), f"sweep.space.{key}", fault.message)
        if fault.message.startswith("received"):  # whatever the other keys
            inner = "" if fault.field == key else f"{fault.field}: "
            return Fault(place(key), f"sweep.space.{key}", f"with {text_of(setting[key])}: {inner}{fault.message}")
        return Fault(place(key), f"sweep.space.{key}", f"{fault.message} (in the trial {said})")
    return Fault(fault.where, fault.field, f"{fault.message} (in the trial {said})")


def _fewest(faults: list[Fault]) -> list[Fault]:
    """The faults without those that repeat a message for another combination."""
    kept: dict[tuple[str, str, str], Fault] = {}
    for fault in faults:
        kept.setdefault((fault.where, fault.field, fault.message.partition(" (in the trial ")[0]), fault)
    return list(kept.values())


def touches(one: str, other: str) -> bool:
    """Whether one dotted key is the other, stands inside it or around it."""
    parts, others = one.split("."), other.split(".")
    shorter = min(len(parts), len(others))
    return parts[:shorter] == others[:shorter]
