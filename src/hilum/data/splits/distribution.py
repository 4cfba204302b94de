"""How many patients and cases of each class (site, sex ...) are in each part, or in each fold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hilum.case import Case, natural_order
from hilum.data.splits.base import PARTS, Split
from hilum.data.splits.strata import NONE

MOST_VALUES = 7
"""Values of a column that are counted each for itself; of more, the rarest are counted together."""


@dataclass(frozen=True)
class Amount:
    """A number of cases, and of the patients whose they are."""

    patients: int
    cases: int


@dataclass(frozen=True)
class Distribution:
    """Amounts by row (a part or a fold): in all, and by column and value. Every row has every value.

    `total` counts every patient and case once, in however many rows they are.
    """

    title: str
    total: Amount
    rows: Mapping[str, Amount]
    columns: Mapping[str, Mapping[str, Mapping[str, Amount]]]

    def values(self, column: str) -> list[str]:
        """The values of a column, sorted; what stands for the rarest comes last."""
        return list(next(iter(self.columns[column].values()), {}))


def of_parts(split: Split, values: Mapping[str, Mapping[str, str]]) -> Distribution:
    """What is in train, val and test; `values` holds the value of each case id by column."""
    return distribution("parts", {part: split.part(part) for part in PARTS if split.part(part)}, values)


def of_tests(splits: Mapping[str, Split], values: Mapping[str, Mapping[str, str]]) -> Distribution:
    """What is in the test parts of several runs, by the name of each test part."""
    return distribution("test parts of all runs", {name: split.part("test") for name, split in splits.items()}, values)


def distribution(
    title: str, groups: Mapping[str, Sequence[Case]], values: Mapping[str, Mapping[str, str]]
) -> Distribution:
    """The amounts of groups of cases, by name. A patient counts once for each value that their cases have."""
    everybody = {case.id: case for cases in groups.values() for case in cases}
    columns: dict[str, dict[str, dict[str, Amount]]] = {}
    for column, cells in values.items():
        value_of, found = _few({case_id: cells.get(case_id) or NONE for case_id in everybody})
        columns[column] = {
            name: {value: _amount(case for case in cases if value_of[case.id] == value) for value in found}
            for name, cases in groups.items()
        }
    total = _amount(everybody.values())
    return Distribution(title, total, {name: _amount(cases) for name, cases in groups.items()}, columns)


def _few(value_of: Mapping[str, str]) -> tuple[Mapping[str, str], list[str]]:
    """The value of each case id, and all values sorted: MOST_VALUES at most, one of which stands for the rarest."""
    counted = Counter(value_of.values())
    found = sorted(counted, key=natural_order)
    if len(found) <= MOST_VALUES:
        return value_of, found
    kept = sorted(found, key=lambda value: -counted[value])[: MOST_VALUES - 1]
    others = f"{len(found) - len(kept)} others"
    few = {case_id: value if value in kept else others for case_id, value in value_of.items()}
    return few, [*(value for value in found if value in kept), others]


def shortened(names: Iterable[str], longest: int) -> dict[str, str]:
    """Each name with at most `longest` characters, the rest of it left out; those that would be alike are numbered."""
    names = list(names)
    short = {name: name if len(name) <= longest else f"{name[: longest - 1]}…" for name in names}
    counted = Counter(short.values())
    for name in names:
        if counted[short[name]] > 1 and name != short[name]:
            alike = [other for other in names if f"{other[: longest - 1]}…" == f"{name[: longest - 1]}…"]
            number = f"…{alike.index(name) + 1}"
            short[name] = name[: longest - len(number)] + number
    return short


def _amount(cases: Iterable[Case]) -> Amount:
    patients = [case.patient for case in cases]
    return Amount(len(set(patients)), len(patients))
