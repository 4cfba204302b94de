"""The split object, which refuses a patient in two parts however it was made, and the root of all ways to make one."""

import csv
import hashlib
import io
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self, get_args

from hilum.case import Case
from hilum.data.splits.people import named_persons, persons
from hilum.errors import DataError, Finding, SplitError, nearest
from hilum.registry import Component
from hilum.sources.tables import Table, read_table

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
COLUMNS = ("case_id", "patient_id", "part", "fold")
SHARED = "patients in more than one part"
"""The kind of finding that names such a patient."""
SPELT_ALIKE = (
    "Ids that differ in case, zeros, blanks or separators alone count as one patient: "
    "give one person one id, and two people ids that differ in more"
)


@dataclass(frozen=True)
class Split:
    """Cases by part, sorted by id. Raises SplitError where a patient, a case or an image is in two parts.

    Spellings of one id (P1, p01) count as one patient. Copies and pickles are checked as well, and nothing can be
    added later.

    `one_patient` marks the single exception: a cohort of one patient, cut into contiguous blocks of scans; `notes` then
    says in every report that its scores are no evidence about other patients.
    """

    parts: Mapping[Part, tuple[Case, ...]]
    fold: int | None = None
    notes: tuple[str, ...] = ()
    one_patient: bool = False

    def __post_init__(self) -> None:
        """Refuse unknown parts, repeated cases, shared patients and an empty training part; sort the cases."""
        unknown = sorted(set(self.parts) - set(PARTS))
        if unknown:
            raise SplitError(f"{received_part(unknown[0])}; every case belongs to one of these")
        # Sorted, so that neither the rows of a table nor a split read back can change the order of samples.
        parts = {part: tuple(sorted(self.parts.get(part, ()), key=lambda case: case.id)) for part in PARTS}
        object.__setattr__(self, "parts", MappingProxyType(parts))  # nobody adds a case later, unseen by these checks
        _refuse_repeated_cases(parts)
        _refuse_shared_patients(parts, one_patient=self.one_patient)
        _refuse_repeated_images(parts)
        if not parts["train"]:
            raise SplitError("no case is left for training: lower the shares of val and test, or add patients")

    def __reduce__(self) -> tuple[type[Self], tuple[dict[Part, tuple[Case, ...]], int | None, tuple[str, ...], bool]]:
        # A copy, or what comes out of a pickle, is made anew, so that it is checked as well.
        return type(self), (dict(self.parts), self.fold, self.notes, self.one_patient)

    def part(self, part: Part) -> tuple[Case, ...]:
        """The cases of a part, in the order of their ids."""
        return tuple(self.parts.get(part, ()))

    def as_csv(self) -> str:
        """The table case_id, patient_id, part, fold; sorted by case, so that equal splits have equal text."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        rows = [
            (case.id, case.patient, part, self.fold if self.fold is not None else "")
            for part in PARTS
            for case in self.part(part)
        ]
        writer.writerows(sorted(rows))
        return text.getvalue()

    @property
    def sha256(self) -> str:
        """The hash of the table, kept with every checkpoint."""
        return hashlib.sha256(self.as_csv().encode()).hexdigest()


class SplitConfig(Component, family="splits"):
    """How patients are divided into train, val and test."""

    def assign(self, cases: Sequence[Case], *, labels: Mapping[str, str]) -> Split:
        """The split of these cases; `labels` holds the class text of each case id that has one, to stratify by."""
        raise NotImplementedError

    def runs(self, cases: Sequence[Case]) -> tuple[Self, ...]:
        """The configuration of every run that belongs to this one: all folds of a cross-validation, in order."""
        del cases
        return (self,)

    @property
    def run_name(self) -> str:
        """What tells this run from the others of `runs`; empty where there is only one."""
        return ""

    @property
    def test_name(self) -> str:
        """What the test part is called; runs with the same name have the same test part."""
        return self.run_name

    def values(self, cases: Sequence[Case], *, labels: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """By column, the value of each case id, for a report that shows who is in which part."""
        del cases
        return {"label": dict(labels)} if labels else {}


def restore(table: Path, cases: Sequence[Case], *, notes: tuple[str, ...]) -> Split:
    """The split that a split.csv holds. Raises SplitError where it is damaged or does not fit the cohort."""
    rows = read_split_table(table, COLUMNS).rows
    known = {case.id: case for case in cases}
    missing = [row["case_id"] for row in rows if row["case_id"] not in known]
    if missing:
        raise SplitError(f"{len(missing)} cases of {table} are no longer in the data, such as {', '.join(missing[:3])}")
    changed = [row["case_id"] for row in rows if known[row["case_id"]].patient != row["patient_id"]]
    if changed:
        raise SplitError(f"{len(changed)} cases of {table} have another patient now, such as {', '.join(changed[:3])}")
    folds = {row["fold"] for row in rows}
    if len(folds) > 1 or not all(fold.isdecimal() for fold in folds - {""}):
        raise SplitError(f"{table}: expected one fold number (or none) for all cases, received {sorted(folds)}")
    parts: dict[Part, tuple[Case, ...]] = {
        part: tuple(known[row["case_id"]] for row in rows if row["part"] == part) for part in PARTS
    }
    fold = next((int(text) for text in folds if text), None)
    one_patient = len(set(named_persons(case for found in parts.values() for case in found).values())) == 1
    return Split(parts, fold=fold, notes=notes, one_patient=one_patient)


def split_parts(table: Path) -> set[str]:
    """The parts that have cases in a split.csv."""
    return {row["part"] for row in read_split_table(table, COLUMNS).rows}


def read_split_table(file: Path, columns: Sequence[str]) -> Table:
    """The table of a split with at least these columns, each case once (in each fold) and in a known part.

    Raises SplitError for anything else.
    """
    try:
        table = read_table(file)
        table.require(columns)
        table.require_cells(("case_id", "part"))
    except DataError as error:
        raise SplitError(str(error)) from error
    wrong = next((row["part"] for row in table.rows if row["part"] not in PARTS), None)
    if wrong is not None:
        raise SplitError(f"{file}: {received_part(wrong)}")
    counted = Counter((row["case_id"], row.get("fold", "")) for row in table.rows)
    twice = [case_id for (case_id, _), count in counted.items() if count > 1]
    if twice:
        raise SplitError(f"{file}: {len(twice)} cases stand there more than once, such as {', '.join(twice[:3])}")
    return table


def received_part(part: str) -> str:
    """What to say about a part that there is not."""
    close = nearest(part, PARTS)
    return f"received part '{part}', expected train, val or test" + (f"; did you mean '{close}'?" if close else "")


def by_patient(cases: Sequence[Case], assigned: Mapping[str, Part]) -> dict[Part, tuple[Case, ...]]:
    """Cases by the part that their patient, under whatever spelling, was assigned to; those without are left out."""
    person = persons(cases)
    return {part: tuple(case for case in cases if assigned.get(person[case.patient]) == part) for part in PARTS}


def _refuse_repeated_cases(parts: Mapping[Part, Sequence[Case]]) -> None:
    seen: dict[str, Part] = {}
    for part, cases in parts.items():
        for case in cases:
            if case.id in seen:
                where = f"both in {seen[case.id]} and in {part}" if seen[case.id] != part else f"twice in {part}"
                raise SplitError(f"case {case.id} is {where}: a case belongs to one part, once")
            seen[case.id] = part


def _refuse_shared_patients(parts: Mapping[Part, Sequence[Case]], *, one_patient: bool) -> None:
    """Raise SplitError where a patient is in two parts, under one id or under two spellings of it."""
    person = named_persons(case for cases in parts.values() for case in cases)
    spellings: dict[str, dict[Part, set[str]]] = defaultdict(lambda: defaultdict(set))
    for part, cases in parts.items():
        for case in cases:
            spellings[person[case.patient]][part].add(case.patient)
    shared = [found for _, found in sorted(spellings.items()) if len(found) > 1]
    if not shared or (one_patient and len(spellings) == 1):
        return
    ids = [sorted(set().union(*found.values())) for found in shared]
    named = [f"{' or '.join(one)} ({' and '.join(found)})" for one, found in zip(ids, shared, strict=True)]
    alike = f". {SPELT_ALIKE}" if any(len(one) > 1 for one in ids) else ""
    together = "put all scans of a patient into one part"
    raise SplitError(
        f"{SHARED}: {len(shared)}, such as {', '.join(named[:5])}. All scans of a patient belong to one part{alike}",
        findings=[
            Finding("error", SHARED, received=f"patient {name}", expected="one part", fix=f"{together}{alike}")
            for name in named
        ],
    )


def _refuse_repeated_images(parts: Mapping[Part, Sequence[Case]]) -> None:
    """Raise SplitError where cases of two parts are read from the same image, whatever they are called."""
    owners: dict[tuple[str, str | None, int | None], tuple[Part, Case]] = {}
    for part, cases in parts.items():
        for case in cases:
            for ref in case.files:
                # No links are followed: this costs microseconds; copies and links are found by their content.
                image = (os.path.abspath(ref.path), ref.key, ref.index)  # noqa: PTH100
                earlier, other = owners.setdefault(image, (part, case))
                if earlier != part:
                    raise SplitError(
                        f"the image {ref} belongs to case {other.id} in {earlier} and to case {case.id} in {part}: "
                        "one image cannot be learnt from and scored on; remove one of the cases"
                    )
