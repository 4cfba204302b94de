"""One site (scanner, year ...) held out: does the network work where it has never been?"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Self

from hilum.case import Case
from hilum.data.splits.base import Part, Split, by_patient
from hilum.data.splits.drawn import DrawnConfig, Share
from hilum.data.splits.people import persons
from hilum.data.splits.strata import LABEL, ColumnConfig, patients_of
from hilum.errors import SplitError, nearest
from hilum.sources.base import listed
from hilum.sources.spelling import similar_ids, spelling


class LeaveOneGroupOutConfig(DrawnConfig, kind="leave_one_group_out"):
    """All cases of one group, such as a site, are the test part; val is drawn by patient from the other groups."""

    by: str
    """Column of the group, such as site or scanner."""
    group: int | str = 0
    """The group that is the test part of this run: its name, or its number among the sorted names."""
    val: Share = 0.2
    """Share of the other patients that choices are made on; stratified by class and group, unless `stratify` says
    otherwise."""

    def assign(self, cases: Sequence[Case], *, labels: Mapping[str, str]) -> Split:
        """The split of this group.

        Scans of a patient of this group that lie in other groups are left out of all parts: they cannot be trained on,
        and are not of the group. Raises SplitError for a group that there is not, and for cases without one.
        """
        groups = self._groups(cases)
        number = self._number(list(groups))
        held_out = groups[list(groups)[number]]
        person = persons(cases)
        ids, patients = {case.id for case in held_out}, {person[case.patient] for case in held_out}
        others = [case for case in cases if person[case.patient] not in patients]
        if not others:
            raise SplitError(
                f"every patient has a scan with {self.by} '{list(groups)[number]}': nobody is left to train on; "
                "hold out another group, or choose another column"
            )
        patients_left = patients_of(others, labels, self._columns(labels))
        assigned, notes = self._with_val(patients_left, self.val, draw=(number, 0))
        absent = [case.id for case in cases if person[case.patient] in patients and case.id not in ids]
        if absent:
            left_out = (
                f"{len(absent)} cases are in no part: their patients belong to the test part, "
                f"but they are not of the held-out {self.by}: {listed(absent)}"
            )
            notes = (*notes, left_out)
        alike = similar_ids(self._name(case) for case in cases)
        if alike:
            named = "; ".join(", ".join(f"'{name}'" for name in names) for names in alike)
            notes = (*notes, f"spellings of one {self.by} count as one group: {named}")
        parts: dict[Part, tuple[Case, ...]] = {**by_patient(others, assigned), "test": tuple(held_out)}
        return Split(parts, fold=number, notes=notes)

    def runs(self, cases: Sequence[Case]) -> tuple[Self, ...]:
        """Every group."""
        return tuple(self.model_copy(update={"group": name}) for name in self._groups(cases))

    def values(self, cases: Sequence[Case], *, labels: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """By column, the value of each case id: the class, the group, then what val is stratified by."""
        groups = {case.id: name for name, found in self._groups(cases).items() for case in found}
        return {**super().values(cases, labels=labels), self.by: groups}

    @property
    def run_name(self) -> str:
        """group-NAME, or group-NUMBER where the number was given."""
        return f"group-{self.group}"

    def _groups(self, cases: Sequence[Case]) -> dict[str, list[Case]]:
        """The cases of each group, by its name, or the first of its spellings (GE, ge).

        Raises SplitError for cases without one.
        """
        known = sorted({column for case in cases for column in case.metadata})
        if self.by not in known:
            close = nearest(self.by, known)
            hint = f"; did you mean '{close}'?" if close else ""
            there = f"the cases have {', '.join(known)}" if known else "the cases have no columns of metadata"
            raise SplitError(f"by: no column '{self.by}'{hint} ({there})")
        groups: dict[str, list[Case]] = defaultdict(list)
        spelt = {name: names[0] for names in similar_ids(self._name(case) for case in cases) for name in names}
        for case in cases:
            name = self._name(case)
            groups[spelt.get(name, name)].append(case)
        if "" in groups:
            unknown = groups[""]
            raise SplitError(
                f"by: {len(unknown)} cases have no {self.by}, such as {listed([case.id for case in unknown])}: "
                "they may be of the group that is held out, so fill in their cells or take them out of the table"
            )
        if len(groups) < 2:
            raise SplitError(f"by: all cases have the same {self.by} ({next(iter(groups), '')}): nothing is left out")
        return dict(sorted(groups.items()))

    def _name(self, case: Case) -> str:
        """The group of a case as its table spells it."""
        return case.metadata.get(self.by, "").strip()

    def _number(self, names: Sequence[str]) -> int:
        """Where the held-out group stands among the names."""
        named = {spelling(name): number for number, name in enumerate(names)}.get(spelling(str(self.group)))
        if isinstance(self.group, str):
            if named is None:
                close = nearest(self.group, names)
                hint = f"; did you mean '{close}'?" if close else ""
                raise SplitError(f"group: no {self.by} '{self.group}'{hint} (there are {', '.join(names)})")
            return named
        if named not in (None, self.group):
            raise SplitError(
                f"group: {self.group} is the name of a {self.by} and the number of another: "
                f"put it in quotes to have the name, or name the other one"
            )
        if not 0 <= self.group < len(names):
            raise SplitError(f"group: received {self.group}, expected 0 to {len(names) - 1} or one of {listed(names)}")
        return self.group

    def _columns(self, labels: Mapping[str, str]) -> tuple[str | ColumnConfig, ...]:
        """What val is stratified by."""
        given = self.stratify if self.stratify is not None else ((LABEL,) if labels else ())
        named = {item if isinstance(item, str) else item.column for item in given}
        # In the long form, which takes numbers for names: sites are often numbered.
        return given if self.stratify is not None or self.by in named else (*given, ColumnConfig(column=self.by))
