"""The split object, which refuses a patient in two parts however it was made, and the root of all ways to make one."""

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from hilum.case import Case
from hilum.errors import SplitError
from hilum.random import generator
from hilum.registry import Component

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
COLUMNS = ("case_id", "patient_id", "part", "fold")


@dataclass(frozen=True)
class Split:
    """Cases by part. Raises SplitError where a patient is in two parts.

    `one_patient` marks the single exception: a cohort of one patient, cut into contiguous blocks of scans; `notes` then says in
    every report that its scores are no evidence about other patients.
    """

    parts: Mapping[Part, tuple[Case, ...]]
    fold: int | None = None
    notes: tuple[str, ...] = ()
    one_patient: bool = False

    def __post_init__(self) -> None:
        """Refuse shared patients, repeated cases and an empty training part."""
        owners: dict[str, set[Part]] = defaultdict(set)
        seen: dict[str, Part] = {}
        for part in PARTS:
            for case in self.part(part):
                if case.id in seen:
                    raise SplitError(
                        f"case {case.id} is both in {seen[case.id]} and in {part}: a case belongs to one part"
                    )
                seen[case.id] = part
                owners[case.patient].add(part)
        shared = sorted(patient for patient, parts in owners.items() if len(parts) > 1)
        if shared and not (self.one_patient and len(owners) == 1):
            first = ", ".join(
                f"{patient} ({' and '.join(p for p in PARTS if p in owners[patient])})" for patient in shared[:5]
            )
            raise SplitError(
                f"{len(shared)} patients are in more than one part: {first}. All scans of a patient belong to one part"
            )
        if not self.part("train"):
            raise SplitError("no case is left for training: lower the shares of val and test, or add patients")

    def part(self, part: Part) -> tuple[Case, ...]:
        """The cases of a part, in the order of the cohort."""
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


def restore(table: Path, cases: Sequence[Case], *, notes: tuple[str, ...]) -> Split:
    """The split that a split.csv holds. Raises SplitError where a case of the table is not in the cohort."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    known = {case.id: case for case in cases}
    missing = [row["case_id"] for row in rows if row["case_id"] not in known]
    if missing:
        raise SplitError(f"{len(missing)} cases of {table} are no longer in the data, such as {', '.join(missing[:3])}")
    changed = [row["case_id"] for row in rows if known[row["case_id"]].patient != row["patient_id"]]
    if changed:
        raise SplitError(f"{len(changed)} cases of {table} have another patient now, such as {', '.join(changed[:3])}")
    parts: dict[Part, tuple[Case, ...]] = {
        part: tuple(known[row["case_id"]] for row in rows if row["part"] == part) for part in PARTS
    }
    fold = int(rows[0]["fold"]) if rows and rows[0]["fold"] else None
    one_patient = len({row["patient_id"] for row in rows}) == 1
    return Split(parts, fold=fold, notes=notes, one_patient=one_patient)


def split_parts(table: Path) -> set[str]:
    """The parts that have cases in a split.csv."""
    with table.open(newline="", encoding="utf-8") as file:
        return {row["part"] for row in csv.DictReader(file)}


def patients_by_stratum(cases: Sequence[Case], labels: Mapping[str, str], seed: int) -> list[list[str]]:
    """Patients in a seeded order, a list for each set of classes that a patient's scans show.

    The order of the cases does not matter.
    """
    shown: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        shown[case.patient].add(labels.get(case.id, ""))
    strata: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for patient in sorted(shown):
        strata[tuple(sorted(shown[patient]))].append(patient)
    rng = generator(seed, 0, 0, "split")
    return [[patients[i] for i in rng.permutation(len(patients))] for _, patients in sorted(strata.items())]


def shares(sizes: Sequence[int], fraction: float) -> list[int]:
    """How many to take of each group so that the total is `fraction` of all (at least 1): largest remainders first."""
    wanted = min(max(1, round(sum(sizes) * fraction)), sum(sizes)) if fraction > 0 else 0
    exact = [size * wanted / max(1, sum(sizes)) for size in sizes]
    taken = [int(value) for value in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda i: (taken[i] - exact[i], i))
    for i in by_remainder[: wanted - sum(taken)]:
        taken[i] += 1
    return taken


def contiguous_blocks(cases: Sequence[Case], *, val: float, test: float) -> Split:
    """One patient's scans cut into neighbouring blocks, train first: by `order` in the metadata where given, else by id."""
    ordered = sorted(cases, key=lambda case: (float(case.metadata.get("order", "nan") or "nan"), case.id))
    if all("order" in case.metadata for case in cases):
        ordered = sorted(cases, key=lambda case: float(case.metadata["order"]))
    count_val, count_test = (max(1, round(len(cases) * share)) if share > 0 else 0 for share in (val, test))
    dropped = ""
    if len(cases) - count_val - count_test < 1:
        count_test, dropped = 0, " too few scans for a test part;"
        count_val = min(count_val, len(cases) - 1)
    count_train = len(cases) - count_val - count_test
    note = f"one patient:{dropped} its scans are cut into contiguous blocks, and no score says anything about other patients"
    blocks: dict[Part, tuple[Case, ...]] = {
        "train": tuple(ordered[:count_train]),
        "val": tuple(ordered[count_train : count_train + count_val]),
        "test": tuple(ordered[count_train + count_val :]),
    }
    return Split(blocks, notes=(note,), one_patient=True)


def by_patient(cases: Sequence[Case], assigned: Mapping[str, Part]) -> dict[Part, tuple[Case, ...]]:
    """Cases by the part that their patient was assigned to; those without one are left out."""
    return {part: tuple(case for case in cases if assigned.get(case.patient) == part) for part in PARTS}
