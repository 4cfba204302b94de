"""How many patients and cases of each class (site, sex ...) are in each part, or in each fold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hilum.case import Case
from hilum.data.splits.base import PARTS, Split
from hilum.data.splits.strata import NONE


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
        """The values of a column, sorted."""
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
    columns: dict[str, dict[str, dict[str, Amount]]] = {}
    for column, cells in values.items():
        named = {name: {case.id: cells.get(case.id) or NONE for case in cases} for name, cases in groups.items()}
        found = sorted({value for value_of in named.values() for value in value_of.values()})
        columns[column] = {
            name: {value: _amount(case for case in cases if named[name][case.id] == value) for value in found}
            for name, cases in groups.items()
        }
    total = _amount({case.id: case for cases in groups.values() for case in cases}.values())
    return Distribution(title, total, {name: _amount(cases) for name, cases in groups.items()}, columns)


def _amount(cases: Iterable[Case]) -> Amount:
    patients = [case.patient for case in cases]
    return Amount(len(set(patients)), len(patients))
