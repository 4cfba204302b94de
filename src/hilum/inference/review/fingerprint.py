"""What training had: how the numbers of its cases spread, as a run keeps it and as predictions are held against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from hilum.inference.review.numbers import DIRECTIONS, SIZES, Numbers


@dataclass(frozen=True)
class Spread:
    """How a number spreads over cases: the smallest, both quartiles and the largest, and how many cases have it.

    `zeros` are cases in which it is 0 (a structure that is not there), `ones` those in which it is 1.
    """

    least: float
    lower: float
    upper: float
    most: float
    cases: int
    zeros: int = 0
    ones: int = 0

    @classmethod
    def of(cls, values: Sequence[float], *, present: bool = False) -> Spread:
        """That of some values; `present` leaves out those that are 0 where there are others."""
        found = np.asarray(values, dtype=np.float64)
        taken = found[found != 0] if present and found.any() else found
        least, lower, upper, most = np.quantile(taken, (0, 0.25, 0.75, 1)).tolist()
        return cls(least, lower, upper, most, len(found), int((found == 0).sum()), int((found == 1).sum()))

    def by_factors(self, *, spread: float, margin: float) -> tuple[float, float]:
        """The accepted range of a positive number, whose quartiles lie some factor apart."""
        factor = (self.upper / self.lower) ** spread if self.lower > 0 else 1.0
        low, high = min(self.least, self.lower / factor), max(self.most, self.upper * factor)
        return low / (1 + margin), high * (1 + margin)

    def by_differences(self, *, spread: float, pad: float) -> tuple[float, float]:
        """The accepted range of any number, widened by `pad` on both sides."""
        apart = spread * (self.upper - self.lower)
        return min(self.least, self.lower - apart) - pad, max(self.most, self.upper + apart) + pad

    def fence(self, spread: float) -> float:
        """Below it lie outliers: so many interquartile ranges below the lower quartile (Tukey 1977)."""
        return self.lower - spread * (self.upper - self.lower)


@dataclass(frozen=True)
class Fingerprint:
    """The spread of every number, by its column, and the directions of the prepared axes that there were.

    `surest` has the confidences of validation cases, `cases` is the number of training cases.
    """

    cases: int
    spreads: Mapping[str, Spread]
    directions: frozenset[str] = frozenset()
    surest: Mapping[str, Spread] = field(default_factory=dict)

    @classmethod
    def of(cls, numbers: Sequence[Numbers]) -> Fingerprint:
        """That of some training cases."""
        directions = frozenset(str(row[DIRECTIONS]) for row in numbers if DIRECTIONS in row)
        return cls(len(numbers), spreads_of(numbers), directions)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Fingerprint:
        """That which `record` wrote."""
        spreads, surest = (
            {name: Spread(**found) for name, found in record[key].items()} for key in ("training", "confidence")
        )
        return cls(record["cases"], spreads, frozenset(record["directions"]), surest)

    @property
    def record(self) -> dict[str, Any]:
        """The fingerprint as JSON."""
        return {
            "cases": self.cases,
            "directions": sorted(self.directions),
            "training": {name: asdict(spread) for name, spread in self.spreads.items()},
            "confidence": {name: asdict(spread) for name, spread in self.surest.items()},
        }


def spreads_of(numbers: Sequence[Numbers]) -> dict[str, Spread]:
    """The spread of every column over the cases that have it; of the size of a structure, over those that show it."""
    columns = dict.fromkeys(name for row in numbers for name, value in row.items() if not isinstance(value, str))
    return {
        name: Spread.of([float(row[name]) for row in numbers if name in row], present=name.endswith(SIZES))
        for name in columns
    }
