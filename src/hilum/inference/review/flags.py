"""Holds the numbers of a predicted case against those of training, and says in words what is unlike them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hilum.errors import number_of
from hilum.inference.review.fingerprint import Fingerprint, Spread
from hilum.inference.review.numbers import (
    AXES,
    DIRECTIONS,
    EXTENT,
    PERCENTILES,
    SIZES,
    SPACING,
    TILT,
    confidence_column,
    intensity_column,
    parts_column,
)
from hilum.inference.review.section import ReviewConfig
from hilum.problem import Problem

FLAGS = (
    *("spacing", "field of view", "orientation", "intensity"),
    *("volume", "components", "confidence", "disagreement"),
)
"""All that a case may be flagged for, in the order in which it is told."""
SINGLE_SHARE = 0.95
"""A structure has one part where at least this share of the training cases that show it have it in one."""
FEWEST_VALIDATED = 5
"""With fewer validation cases that show a structure, nothing is known of how sure the network usually is of it."""
CONFIDENCE_SPREAD = 1.5
"""Interquartile ranges below the lower quartile, beyond which a value is an outlier (Tukey 1977)."""
DISAGREEMENT = "disagreement"
"""The column that says how much the networks of an ensemble differ."""
WAYS = {"x": "right to left", "y": "back to front", "z": "feet to head"}
"""The axes of AXES in words."""

Row = Mapping[str, str | float]


@dataclass(frozen=True)
class Flag:
    """What a case is flagged for, one of FLAGS, and why, with the numbers."""

    name: str
    reason: str


@dataclass(frozen=True)
class Flagging:
    """A fingerprint with the settings that say how far from it a case may lie."""

    fingerprint: Fingerprint
    settings: ReviewConfig
    problem: Problem

    def flags(self, row: Row) -> list[Flag]:
        """All flags of a case by its numbers, in the order of FLAGS; a number that is not there gives none."""
        found = [
            *self._geometry(row),
            *self._orientation(row),
            *self._intensities(row),
            *self._sizes(row),
            *self._parts(row),
            *self._confidences(row),
            *self._disagreement(row),
        ]
        return sorted(found, key=lambda flag: FLAGS.index(flag.name))

    @property
    def singles(self) -> frozenset[str]:
        """Structures that had one part in (nearly) all training cases that show them."""
        found = {name: self.fingerprint.spreads.get(parts_column(name)) for name in self._structures}
        return frozenset(
            name for name, parts in found.items() if parts and parts.ones >= SINGLE_SHARE * _showing(parts) > 0
        )

    def least_confidence(self, structure: str | None) -> float | None:
        """Below it a structure, or a class, is flagged; None where too few validation cases tell."""
        if self.settings.confidence != "auto":
            return self.settings.confidence
        usual = self.fingerprint.surest.get(confidence_column(structure))
        return usual.fence(CONFIDENCE_SPREAD) if usual and usual.cases >= FEWEST_VALIDATED else None

    @property
    def _structures(self) -> tuple[str, ...]:
        return self.problem.foreground if self.problem.kind == "segmentation" else ()

    def _spread(self, column: str, row: Row) -> Spread | None:
        """How a number spread in training, where the case has it too."""
        return self.fingerprint.spreads.get(column) if column in row else None

    def _by_factors(self, spread: Spread) -> tuple[float, float]:
        return spread.by_factors(spread=self.settings.spread, margin=self.settings.margin)

    def _geometry(self, row: Row) -> Iterator[Flag]:
        known = DIRECTIONS in row
        if known != bool(self.fingerprint.directions):
            here, there = ("in mm", "in pixels") if known else ("in pixels", "in mm")
            yield Flag("spacing", f"the image lies on a grid {here}, in training on one {there}")
            return
        unit = "mm" if known else "pixels"
        for name, flag, words in ((SPACING, "spacing", "voxels"), (EXTENT, "field of view", "a field of view")):
            for axis in AXES:
                spread = self._spread(f"{name}_{axis}", row)
                if spread is None:
                    continue
                value, (low, high) = float(row[f"{name}_{axis}"]), self._by_factors(spread)
                if not low <= value <= high:
                    along = f"from {WAYS[axis]}" if known else f"along {axis}"
                    yield Flag(flag, f"{words} of {_told(value)} {unit} {along}, {_range(spread, unit)}")

    def _orientation(self, row: Row) -> Iterator[Flag]:
        seen, received = self.fingerprint.directions, row.get(DIRECTIONS)
        if seen and received is not None and received not in seen:
            yield Flag("orientation", f"the network gets axes that point to {received}, in training {_listed(seen)}")
        spread = self._spread(TILT, row)
        if spread is not None and float(row[TILT]) > spread.most + self.settings.tilt_degrees:
            why = f"turned by {float(row[TILT]):.0f} degrees out of the patient's axes"
            yield Flag("orientation", f"{why}, in training by {spread.most:.0f} at most")

    def _intensities(self, row: Row) -> Iterator[Flag]:
        for channel in self.problem.channels:
            spreads = {p: self._spread(intensity_column(channel, p), row) for p in PERCENTILES}
            there = {p: spread for p, spread in spreads.items() if spread is not None}
            if not there:
                continue
            pad = self.settings.margin * (max(s.most for s in there.values()) - min(s.least for s in there.values()))
            for percent, spread in there.items():
                low, high = spread.by_differences(spread=self.settings.spread, pad=pad)
                value = float(row[intensity_column(channel, percent)])
                if not low <= value <= high:
                    what = f"{channel}: after preparation {percent} % of the voxels are below {_told(value)}"
                    yield Flag("intensity", f"{what}, {_range(spread)}")
                    break  # one reason a channel is enough

    def _sizes(self, row: Row) -> Iterator[Flag]:
        for name in self._structures:
            column = next((name + end for end in SIZES if name + end in row), "")
            spread = self._spread(column, row) if column else None
            if spread is None:
                continue
            value, unit = float(row[column]), column.rpartition("_")[2]
            low, high = self._by_factors(spread)
            if value == 0 and spread.zeros == 0:
                yield Flag("volume", f"{name}: nothing found, every training case has it ({_range(spread, unit)})")
            elif value > 0 and not low <= value <= high:
                yield Flag("volume", f"{name}: {_told(value)} {unit}, {_range(spread, unit)}")

    def _parts(self, row: Row) -> Iterator[Flag]:
        for name in sorted(self.singles, key=self._structures.index):
            parts = float(row.get(parts_column(name), 0))
            if parts > 1:
                yield Flag("components", f"{name}: {parts:.0f} parts, one in training")

    def _confidences(self, row: Row) -> Iterator[Flag]:
        for name in self._structures or (None,):
            least, column = self.least_confidence(name), confidence_column(name)
            if least is not None and column in row and float(row[column]) < least:
                who = f"{name}: " if name is not None else ""
                why = f"{who}the network is sure to {float(row[column]):.3f} only"
                usual = " on validation" if self.settings.confidence == "auto" else ""
                yield Flag("confidence", f"{why}, at least {least:.3f} is usual{usual}")

    def _disagreement(self, row: Row) -> Iterator[Flag]:
        value = float(row.get(DISAGREEMENT, 0.0))
        if value > self.settings.disagreement:
            yield Flag(
                "disagreement", f"the networks disagree by {value:.2f}, accepted are {self.settings.disagreement:g}"
            )


def shared_flags(trainings: Sequence[Flagging], row: Row) -> list[Flag]:
    """The flags that all trainings of an ensemble raise, in the words of the first: one is enough to accept a case."""
    found = [training.flags(row) for training in trainings]
    names = set.intersection(*({flag.name for flag in flags} for flags in found))
    return [flag for flag in found[0] if flag.name in names]


def flag_counts(flags: Iterable[Collection[str]]) -> dict[str, int]:
    """How many cases have each flag, in the order of FLAGS; flags that none has are left out."""
    counts = Counter(name for own in flags for name in set(own))
    return {name: counts[name] for name in FLAGS if counts[name]}


def told_flags(cases: int, flagged: int, counts: Mapping[str, int], *, of: str = "case") -> str:
    """How many of some cases are flagged, and for what."""
    by_flag = ", ".join(f"{name} {count}" for name, count in counts.items())
    return f"{flagged} of {number_of(cases, of)} flagged" + (f" ({by_flag})" if by_flag else "")


def _showing(parts: Spread) -> int:
    """Training cases in which the structure is there at all."""
    return parts.cases - parts.zeros


def _range(spread: Spread, unit: str = "") -> str:
    return f"in training {_told(spread.least)} to {_told(spread.most)} {unit}".rstrip()


def _told(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _listed(directions: frozenset[str]) -> str:
    return " or ".join(sorted(directions))
