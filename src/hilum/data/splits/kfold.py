"""One fold of a k-fold cross-validation by patient."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import Field, NonNegativeInt, model_validator

from hilum.case import Case
from hilum.data.splits.base import Split, by_patient
from hilum.data.splits.drawn import DrawnConfig, Share, numbered


class KFoldConfig(DrawnConfig, kind="kfold"):
    """One of k folds by patient: the fold is the test part, val is drawn from the others."""

    folds: Annotated[int, Field(ge=2)] = 5
    """Number of folds; every patient is in the test part of exactly one."""
    fold: NonNegativeInt = 0
    """Which fold is the test part of this run."""
    val: Share = 0.2
    """Share of the other patients that choices are made on."""

    @model_validator(mode="after")
    def _fold_exists(self) -> Self:
        numbered(self.fold, self.folds, "fold")
        return self

    def assign(self, cases: Sequence[Case], *, labels: Mapping[str, str]) -> Split:
        """The split of this fold. Raises SplitError where there are fewer patients than folds."""
        patients = self._patients(cases, labels)
        fold_of = self._folds(patients, self.folds)
        others = [patient for patient in patients if fold_of[patient.id] != self.fold]
        assigned, notes = self._with_val(others, self.val, draw=(0, self.fold))
        assigned |= {patient: "test" for patient, fold in fold_of.items() if fold == self.fold}
        return Split(by_patient(cases, assigned), fold=self.fold, notes=notes)

    def runs(self, cases: Sequence[Case]) -> tuple[Self, ...]:
        """Every fold."""
        del cases
        return tuple(self.model_copy(update={"fold": fold}) for fold in range(self.folds))

    @property
    def run_name(self) -> str:
        """fold-0 and so on."""
        return f"fold-{self.fold}"
