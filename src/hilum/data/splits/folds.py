"""What kinds with numbered folds have in common: how many folds a cohort allows, and the split of one of them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import Field, NonNegativeInt, model_validator

from hilum.case import Case
from hilum.data.splits.base import Split, by_patient
from hilum.data.splits.blocks import cut_out, in_order, of_one_patient
from hilum.data.splits.drawn import NO_VAL, DrawnConfig, Share, fold_sizes, numbered
from hilum.data.splits.people import persons
from hilum.errors import SplitError


class FoldsConfig(DrawnConfig):
    """One of several folds by patient: the fold is the test part, val is drawn from the others."""

    folds: Annotated[int, Field(ge=2)] = 5
    """Number of folds; every patient is in the test part of exactly one. Fewer patients give fewer folds."""
    fold: NonNegativeInt = 0
    """Which fold is the test part of this run."""
    val: Share = 0.2
    """Share of the other patients that choices are made on."""

    @model_validator(mode="after")
    def _fold_exists(self) -> Self:
        numbered(self.fold, self.folds, "fold")
        return self

    def _fold_split(self, cases: Sequence[Case], labels: Mapping[str, str], *, repeat: int) -> Split:
        """The split of this fold, numbered through all repeats, from a draw of its own for each repeat."""
        patients = self._patients(cases, labels)
        folds, notes = fewer_folds(cases, self.folds, "folds")
        refuse_beyond(self.fold, folds, "fold", notes)
        number = repeat * self.folds + self.fold
        if len(patients) == 1:
            test, rest = cut_out(in_order(cases), fold_sizes(len(cases), folds), self.fold)
            count = min(max(int(self.val > 0), round(self.val * len(rest))), len(rest) - 1)
            notes = (*notes, NO_VAL_SCAN) if self.val and not count else notes
            return of_one_patient({"test": test, "val": rest[:count], "train": rest[count:]}, fold=number, notes=notes)
        fold_of = self._folds(patients, folds, repeat=repeat)
        others = [patient for patient in patients if fold_of[patient.id] != self.fold]
        assigned, lacking = self._with_val(others, self.val, draw=(repeat, self.fold))
        assigned |= {patient: "test" for patient, fold in fold_of.items() if fold == self.fold}
        return Split(by_patient(cases, assigned), fold=number, notes=(*notes, *lacking))


NO_VAL_SCAN = NO_VAL.replace("patients", "scans")


def divisible(cases: Sequence[Case]) -> tuple[int, str]:
    """How many there are to be divided, and what they are: patients, or the scans of a single one."""
    count = len(set(persons(cases).values()))
    return (len(cases), "scans of one patient") if count == 1 else (count, "patients")


def fewer_folds(cases: Sequence[Case], asked: int, setting: str) -> tuple[int, tuple[str, ...]]:
    """How many folds there can be, and a note where they are fewer than asked for. Raises SplitError for one case."""
    count, what = divisible(cases)
    if count >= asked or not cases:
        return asked, ()
    if count == 1:
        raise SplitError("a single case cannot be trained on and tested: {kind: all} trains on it, without a score")
    words = setting.replace("_", " ")
    return count, (f"too few {what} for {asked} {words} ({count}): there are {count} {words}",)


def refuse_beyond(value: int, count: int, name: str, notes: Sequence[str]) -> None:
    """Raise SplitError for the number of a fold that this cohort does not have; `notes` say why."""
    if value >= count:
        raise SplitError("; ".join([f"{name}: received {value}, expected 0 to {count - 1}", *notes]))
