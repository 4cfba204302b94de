"""One run of a nested cross-validation by patient: an outer fold to score on, an inner one to choose on."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Self

from pydantic import Field, NonNegativeInt, model_validator

from hilum.case import Case
from hilum.data.splits.base import Part, Split, by_patient
from hilum.data.splits.dealing import deal
from hilum.data.splits.drawn import DrawnConfig, fold_sizes, numbered, refuse_fewer
from hilum.random import generator


class NestedConfig(DrawnConfig, kind="nested"):
    """The outer fold is the test part; what remains is divided into inner folds, one of which is the val part."""

    outer_folds: Annotated[int, Field(ge=2)] = 5
    """Number of outer folds; every patient is in the test part of exactly one."""
    inner_folds: Annotated[int, Field(ge=2)] = 5
    """Number of inner folds; every patient that is not tested is in the val part of exactly one."""
    outer: NonNegativeInt = 0
    """Which outer fold is the test part of this run."""
    inner: NonNegativeInt = 0
    """Which inner fold is the val part of this run."""

    @model_validator(mode="after")
    def _folds_exist(self) -> Self:
        numbered(self.outer, self.outer_folds, "outer")
        numbered(self.inner, self.inner_folds, "inner")
        return self

    def assign(self, cases: Sequence[Case], *, labels: Mapping[str, str]) -> Split:
        """The split of this run, numbered through all inner folds. Raises SplitError for too few patients."""
        patients = self._patients(cases, labels)
        refuse_fewer(patients, self.outer_folds, "outer_folds")
        outer_of = self._folds(patients, self.outer_folds)
        # What is left of the first outer fold, the largest: an inner fold must not be empty in any of the runs.
        refuse_fewer(patients[max(fold_sizes(len(patients), self.outer_folds)) :], self.inner_folds, "inner_folds")
        # Drawn from the patients themselves that are left, never by their place in the whole list.
        left = [patient for patient in patients if outer_of[patient.id] != self.outer]
        inner_of = deal(
            left,
            fold_sizes(len(left), self.inner_folds),
            shares=[Fraction(1, self.inner_folds)] * self.inner_folds,
            rng=generator(self.seed, self.outer, 0, "split inner"),
        )
        parts: dict[str, Part] = {patient.id: "test" for patient in patients if patient.id not in inner_of}
        parts |= {patient: "val" if inner == self.inner else "train" for patient, inner in inner_of.items()}
        return Split(by_patient(cases, parts), fold=self.outer * self.inner_folds + self.inner)

    def runs(self, cases: Sequence[Case]) -> tuple[Self, ...]:
        """Every inner fold of every outer fold."""
        del cases
        numbers = ((outer, inner) for outer in range(self.outer_folds) for inner in range(self.inner_folds))
        return tuple(self.model_copy(update={"outer": outer, "inner": inner}) for outer, inner in numbers)

    @property
    def run_name(self) -> str:
        """outer-0-inner-0 and so on."""
        return f"{self.test_name}-inner-{self.inner}"

    @property
    def test_name(self) -> str:
        """outer-0 and so on."""
        return f"outer-{self.outer}"
