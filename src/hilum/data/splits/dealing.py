"""Deals patients into parts so that totals, strata and numbers of scans are as even as whole patients allow."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from hilum.data.splits.strata import Patient

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
FINEST_SHARE = 10_000
"""Largest denominator of a share: 0.2 is exactly one fifth, and no cohort needs finer ones."""
CHANCE = 1024
"""Steps between two costs, which leave room for a choice between equal ones."""
EXCESS_WEIGHT = 128
"""Of these steps, what a patient too few is worth; an eighth of it is chance."""
FAR = 2**60
"""A cost that stands for "impossible"."""


def exactly(share: float) -> Fraction:
    """The share that its decimal text means."""
    return Fraction(str(share)).limit_denominator(FINEST_SHARE)


def deal(
    patients: Sequence[Patient], totals: Sequence[int], *, shares: Sequence[Fraction], rng: np.random.Generator
) -> dict[str, int]:
    """The part (an index) of each patient id.

    `totals` says how many patients each part gets, `shares` what part of the cohort it should be. Going down the
    columns of the strata one after the other, each part gets a number of every value that is within one of its share
    (and the nearest one wherever the totals leave the choice). Who of one stratum goes where is chance, except that
    two of them change places wherever this brings the numbers of scans closer to the parts' shares of all scans.
    """
    unit = int(np.lcm.reduce([share.denominator for share in shares]))
    weights = np.array([int(share * unit) for share in shares], dtype=np.int64)
    strata = _Dealer(weights, rng).divide(list(patients), np.array(totals, dtype=np.int64))
    return {patient.id: number for groups in strata for number, group in enumerate(groups) for patient in group}


Stratum = list[list[Patient]]
"""The patients of a stratum, a list for each part."""


class _Dealer:
    """Deals group after group, and remembers what each part has too many of."""

    def __init__(self, weights: Ints, rng: np.random.Generator) -> None:
        self._weights = weights
        self._rng = rng
        self._excess: dict[tuple[int, str], Floats] = defaultdict(lambda: np.zeros(len(weights)))

    def divide(self, members: list[Patient], totals: Ints, depth: int = 0) -> list[Stratum]:
        """The strata of members that agree in the first `depth` columns, dealt."""
        if not members:
            return []
        if depth == len(members[0].stratum):
            strata = [self._shuffled(members, totals)]
        else:
            values: dict[str, list[Patient]] = defaultdict(list)
            for patient in members:
                values[patient.stratum[depth]].append(patient)
            names = sorted(values)
            counts = self._counts({name: len(values[name]) for name in names}, totals, depth)
            strata = [
                stratum
                for name, count in zip(names, counts, strict=True)
                for stratum in self.divide(values[name], count, depth + 1)
            ]
        even_out_scans(strata, totals.tolist())  # those of each class first, those of all at last
        return strata

    def _shuffled(self, members: Sequence[Patient], totals: Ints) -> Stratum:
        shuffled = [members[index] for index in self._rng.permutation(len(members))]
        ends = np.cumsum(totals).tolist()
        return [shuffled[end - total : end] for end, total in zip(ends, totals.tolist(), strict=True)]

    def _counts(self, sizes: Mapping[str, int], totals: Ints, depth: int) -> Ints:
        """How many of each value every part gets.

        Where several choices are as good, a part is preferred that has too few of this value from other branches: so
        the columns are even each for itself too, as far as this costs nothing.
        """
        if len(sizes) == 1:
            counts = totals[None, :]
        else:
            excess = np.stack([self._excess[depth, value] for value in sizes])
            lacking = np.clip(-EXCESS_WEIGHT * excess, -CHANCE // 4, CHANCE // 4).astype(np.int64) + CHANCE // 4
            ties = lacking + self._rng.integers(EXCESS_WEIGHT // 8, size=excess.shape)
            counts = apportion(list(sizes.values()), totals, self._weights, ties)
        shares = self._weights / self._weights.sum()
        for (value, size), row in zip(sizes.items(), counts, strict=True):
            self._excess[depth, value] = self._excess[depth, value] + row - size * shares
        return counts


def apportion(sizes: Sequence[int], totals: Ints, weights: Ints, ties: Ints) -> Ints:
    """Whole numbers (groups, parts): rows add up to `sizes`, columns to `totals`.

    Each is the exact share (size x weight / all weights) rounded up or down, and together they are as near to those
    as they can be; of equal choices, that with the largest `ties` (0 to CHANCE - 1) is taken. It is always possible
    for up to three parts and for equal weights, if the totals are such roundings too; otherwise the shares of `totals`
    themselves are rounded, which is possible for any.
    """
    counts = _rounded(np.array(sizes, dtype=np.int64), totals, weights, ties)
    if counts is None:
        counts = _rounded(np.array(sizes, dtype=np.int64), totals, totals, ties)
    if counts is None:
        raise AssertionError(f"a table with whole margins can always be rounded; received {sizes} and {totals}")
    return counts


def _rounded(sizes: Ints, totals: Ints, weights: Ints, ties: Ints) -> Ints | None:
    """`apportion` for one choice of shares, or None where it is impossible.

    Controlled rounding (Cox 1987) as a flow of least cost: each group rounds up its largest remainders, then units
    move from parts with too many to parts with too few along the cheapest paths.
    """
    counts, remainders = np.divmod(sizes[:, None] * weights, weights.sum())
    missing = sizes - counts.sum(axis=1)
    value = remainders * CHANCE + ties
    ranks = np.argsort(np.argsort(np.where(remainders > 0, -value, FAR), axis=1, kind="stable"), axis=1)
    up = ranks < missing[:, None]
    surplus = counts.sum(axis=0) + up.sum(axis=0) - totals
    while surplus.any():
        path = _cheapest_path(up, value, remainders > 0, surplus)
        if path is None:
            return None
        for source, target, row in path:
            up[row, source], up[row, target] = False, True
        surplus[path[0][0]] -= 1
        surplus[path[-1][1]] += 1
    result: Ints = counts + up
    return result


def _cheapest_path(
    up: npt.NDArray[np.bool_], value: Ints, free: npt.NDArray[np.bool_], surplus: Ints
) -> list[tuple[int, int, int]] | None:
    """Moves (from part, to part, in group) that take one unit from a part with too many to one with too few."""
    count = len(surplus)
    loss = np.full((count, count), FAR, dtype=np.int64)
    rows = np.zeros((count, count), dtype=np.int64)
    for source in range(count):
        possible = up[:, source, None] & ~up & free
        cost = np.where(possible, value[:, source, None] - value, FAR)
        rows[source] = cost.argmin(axis=0)
        loss[source] = cost.min(axis=0)
    distance = np.where(surplus > 0, 0, FAR)
    before = np.full(count, -1)
    for _ in range(count):  # Bellman and Ford: moves may cost less than nothing
        through = distance[:, None] + loss
        nearest = through.argmin(axis=0)
        shorter = through[nearest, np.arange(count)] < np.minimum(distance, FAR // 2)
        if not shorter.any():
            break
        distance = np.where(shorter, through[nearest, np.arange(count)], distance)
        before = np.where(shorter, nearest, before)
    reached = np.where(surplus < 0, distance, FAR)
    target = int(reached.argmin())
    if reached[target] >= FAR // 2:
        return None
    path: list[tuple[int, int, int]] = []
    while before[target] >= 0:
        source = int(before[target])
        path.append((source, target, int(rows[source, target])))
        target = source
    return path[::-1]


def even_out_scans(strata: Sequence[Stratum], totals: Sequence[int]) -> None:
    """Swap patients of one stratum between parts, in place, while this evens out the numbers of scans.

    Each part should have the share of all scans that `totals` gives it of all patients. Every swap makes the sum of
    the squared differences smaller; at the end no swap would.
    """
    patients = sum(totals)
    if len({patient.scans for groups in strata for group in groups for patient in group}) < 2:
        return
    scans = [sum(patient.scans for groups in strata for patient in groups[part]) for part in range(len(totals))]
    # Scans too many, times the number of patients: whole numbers.
    excess = [count * patients - sum(scans) * total for count, total in zip(scans, totals, strict=True)]
    while max(excess) - min(excess) > patients:
        swap = _best_swap(strata, excess, patients)
        if swap is None:
            return
        groups, (more, one), (less, other) = swap
        moved = groups[more][one].scans - groups[less][other].scans
        groups[more][one], groups[less][other] = groups[less][other], groups[more][one]
        excess[more] -= moved * patients
        excess[less] += moved * patients


Place = tuple[int, int]
"""A part and a position in it."""


def _best_swap(strata: Sequence[Stratum], excess: Sequence[int], patients: int) -> tuple[Stratum, Place, Place] | None:
    """The best swap between the two parts that differ most and can be evened out."""
    parts = [part for part in range(len(excess)) if any(groups[part] for groups in strata)]
    # A swap moves one scan at least, which is too many between parts that differ by one.
    pairs = [pair for pair in itertools.permutations(parts, 2) if excess[pair[0]] - excess[pair[1]] > patients]
    pairs.sort(key=lambda pair: excess[pair[1]] - excess[pair[0]])
    for more, less in pairs:
        difference = excess[more] - excess[less]
        best, found = 0, None
        for groups in strata:
            sizes = itertools.product(_of_each_size(groups[more]), _of_each_size(groups[less]))
            for (one, larger), (other, smaller) in sizes:
                step = (larger - smaller) * patients
                gain = step * (difference - step)
                if step > 0 and gain > best:
                    best, found = gain, (groups, (more, one), (less, other))
        if found is not None:
            return found
    return None


def _of_each_size(group: Sequence[Patient]) -> list[tuple[int, int]]:
    """The position of one patient of each number of scans, and that number."""
    return [(position, scans) for scans, position in {patient.scans: i for i, patient in enumerate(group)}.items()]
