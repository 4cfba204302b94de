"""One fold of a k-fold cross-validation by patient."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import Field, NonNegativeInt, model_validator

from hilum.case import Case
from hilum.data.splits.base import Part, Split, SplitConfig, by_patient, patients_by_stratum, shares
from hilum.errors import SplitError


class KFoldConfig(SplitConfig, kind="kfold"):
    """One of k folds by patient: the fold is the test part, val is drawn from the others."""

    folds: Annotated[int, Field(ge=2)] = 5
    """Number of folds; every patient is in the test part of exactly one."""
    fold: NonNegativeInt = 0
    """Which fold is the test part of this run."""
    val: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of the other patients that choices are made on."""
    seed: int = 17
    """Which patients fall into which fold; independent of the training's seed."""

    @model_validator(mode="after")
    def _fold_exists(self) -> Self:
        if self.fold >= self.folds:
            raise ValueError(f"a fold from 0 to {self.folds - 1}, fold is {self.fold}")
        return self

    def assign(self, cases: Sequence[Case], *, labels: Mapping[str, str]) -> Split:
        """The split of this fold. Raises SplitError where there are fewer patients than folds."""
        strata = patients_by_stratum(cases, labels, self.seed)
        total = sum(len(patients) for patients in strata)
        if total < self.folds:
            raise SplitError(f"{self.folds} folds need as many patients, received {total}: lower data.split.folds")
        position = 0
        fold_of: dict[str, int] = {}
        for patients in strata:
            for patient in patients:
                fold_of[patient] = position % self.folds
                position += 1
        others = [[patient for patient in patients if fold_of[patient] != self.fold] for patients in strata]
        assigned: dict[str, Part] = {patient: "test" for patient, fold in fold_of.items() if fold == self.fold}
        sizes = [len(patients) for patients in others]
        notes = () if sum(sizes) > 1 or not self.val else ("too few patients for a val part: one is left to train on",)
        for patients, count in zip(others, shares(sizes, 0.0 if notes else self.val), strict=True):
            assigned |= {patient: "val" if position < count else "train" for position, patient in enumerate(patients)}
        return Split(by_patient(cases, assigned), fold=self.fold, notes=notes)
