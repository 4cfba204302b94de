"""One fold of one repeat of a k-fold cross-validation by patient."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from hilum.case import Case
from hilum.data.splits.base import Split, by_patient
from hilum.data.splits.drawn import DrawnConfig, Share, numbered


class RepeatedKFoldConfig(DrawnConfig, kind="repeated_kfold"):
    """k folds by patient, drawn anew several times: shows how much of a score is the luck of the draw."""

    folds: Annotated[int, Field(ge=2)] = 5
    """Number of folds; every patient is in the test part of exactly one of each repeat."""
    repeats: PositiveInt = 3
    """How often all folds are drawn; the first time they are those of `kfold`."""
    fold: NonNegativeInt = 0
    """Which fold is the test part of this run."""
    repeat: NonNegativeInt = 0
    """Which repeat the fold belongs to."""
    val: Share = 0.2
    """Share of the other patients that choices are made on."""

    @model_validator(mode="after")
    def _fold_and_repeat_exist(self) -> Self:
        numbered(self.fold, self.folds, "fold")
        numbered(self.repeat, self.repeats, "repeat")
        return self

    def assign(self, cases: Sequence[Case], *, labels: Mapping[str, str]) -> Split:
        """The split of this fold, numbered through all repeats. Raises SplitError for fewer patients than folds."""
        patients = self._patients(cases, labels)
        fold_of = self._folds(patients, self.folds, repeat=self.repeat)
        others = [patient for patient in patients if fold_of[patient.id] != self.fold]
        assigned, notes = self._with_val(others, self.val, draw=(self.repeat, self.fold))
        assigned |= {patient: "test" for patient, fold in fold_of.items() if fold == self.fold}
        return Split(by_patient(cases, assigned), fold=self.repeat * self.folds + self.fold, notes=notes)

    def runs(self, cases: Sequence[Case]) -> tuple[Self, ...]:
        """Every fold of every repeat."""
        del cases
        numbers = ((repeat, fold) for repeat in range(self.repeats) for fold in range(self.folds))
        return tuple(self.model_copy(update={"repeat": repeat, "fold": fold}) for repeat, fold in numbers)

    @property
    def run_name(self) -> str:
        """repeat-0-fold-0 and so on."""
        return f"repeat-{self.repeat}-fold-{self.fold}"
