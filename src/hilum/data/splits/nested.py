"""One run of a nested cross-validation by patient: an outer fold to score on, an inner one to choose on."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Self

from pydantic import Field, NonNegativeInt, model_validator

from hilum.case import Case
from hilum.data.splits.base import Part, Split, by_patient
from hilum.data.splits.blocks import cut_out, in_order, of_one_patient
from hilum.data.splits.dealing import deal
from hilum.data.splits.drawn import NO_VAL, DrawnConfig, fold_sizes, numbered
from hilum.data.splits.folds import NO_VAL_SCAN, divisible, fewer_folds, refuse_beyond
from hilum.random import generator


class NestedConfig(DrawnConfig, kind="nested"):
    """The outer fold is the test part; what remains is divided into inner folds, one of which is the val part."""

    outer_folds: Annotated[int, Field(ge=2)] = 5
    """Number of outer folds; every patient is in the test part of exactly one. Fewer patients give fewer folds."""
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
        """The split of this run, numbered through all inner folds; too few patients give fewer folds, with a note.

        Raises SplitError for a fold that there is not then, and for a single case.
        """
        patients = self._patients(cases, labels)
        outer_folds, inner_folds, notes = self._possible(cases)
        refuse_beyond(self.outer, outer_folds, "outer", notes)
        refuse_beyond(self.inner, inner_folds, "inner", notes)
        number = self.outer * self.inner_folds + self.inner
        if len(patients) == 1:
            test, rest = cut_out(in_order(cases), fold_sizes(len(cases), outer_folds), self.outer)
            val, train = list[Case](), rest
            if inner_folds > 1:
                val, train = cut_out(rest, fold_sizes(len(rest), inner_folds), self.inner)
            return of_one_patient({"test": test, "val": val, "train": train}, fold=number, notes=notes)
        outer_of = self._folds(patients, outer_folds)
        # Drawn from the patients themselves that are left, never by their place in the whole list.
        left = [patient for patient in patients if outer_of[patient.id] != self.outer]
        inner_of = deal(
            left,
            fold_sizes(len(left), inner_folds),
            shares=[Fraction(1, inner_folds)] * inner_folds,
            rng=generator(self.seed, self.outer, 0, "split inner"),
        )
        parts: dict[str, Part] = {patient.id: "test" for patient in patients if patient.id not in inner_of}
        chosen_on = self.inner if inner_folds > 1 else None
        parts |= {patient: "val" if inner == chosen_on else "train" for patient, inner in inner_of.items()}
        return Split(by_patient(cases, parts), fold=number, notes=notes)

    def runs(self, cases: Sequence[Case]) -> tuple[Self, ...]:
        """Every inner fold of every outer fold."""
        outer_folds, inner_folds, _ = self._possible(cases)
        numbers = ((outer, inner) for outer in range(outer_folds) for inner in range(inner_folds))
        return tuple(self.model_copy(update={"outer": outer, "inner": inner}) for outer, inner in numbers)

    @property
    def run_name(self) -> str:
        """outer-0-inner-0 and so on."""
        return f"{self.test_name}-inner-{self.inner}"

    @property
    def test_name(self) -> str:
        """outer-0 and so on."""
        return f"outer-{self.outer}"

    def _possible(self, cases: Sequence[Case]) -> tuple[int, int, tuple[str, ...]]:
        """How many outer and inner folds there can be, and notes where they are fewer than asked for."""
        if not cases:
            return self.outer_folds, self.inner_folds, ()
        count, what = divisible(cases)
        outer, notes = fewer_folds(cases, self.outer_folds, "outer_folds")
        # What is left of the first outer fold, the largest: an inner fold must not be empty in any of the runs.
        left = count - max(fold_sizes(count, outer))
        if left >= self.inner_folds:
            return outer, self.inner_folds, notes
        if left == 1:
            return outer, 1, (*notes, NO_VAL if what == "patients" else NO_VAL_SCAN)
        fewer = f"too few {what} for {self.inner_folds} inner folds ({left}): there are {left} inner folds"
        return outer, left, (*notes, fewer)
