"""One division into train, val and test by patient."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Self

from pydantic import model_validator

from hilum.case import Case
from hilum.data.splits.base import Part, Split, by_patient
from hilum.data.splits.blocks import contiguous_blocks
from hilum.data.splits.dealing import deal, exactly
from hilum.data.splits.drawn import DrawnConfig, Share
from hilum.random import generator

DEALT: tuple[Part, ...] = ("test", "val", "train")


class HoldoutConfig(DrawnConfig, kind="holdout"):
    """One division by patient, stratified by class where cases have one."""

    val: Share = 0.2
    """Share of the patients that choices are made on."""
    test: Share = 0.2
    """Share of the patients that the final score is measured on."""

    @model_validator(mode="after")
    def _something_left_to_train_on(self) -> Self:
        if self.val + self.test >= 1:
            raise ValueError(f"shares that leave patients for training, val + test is {self.val + self.test:g}")
        return self

    def assign(self, cases: Sequence[Case], *, labels: Mapping[str, str]) -> Split:
        """The split of these cases; too few patients give fewer parts, with a note."""
        patients = self._patients(cases, labels)
        if len(patients) == 1 and len(cases) > 1 and self.val + self.test > 0:
            return contiguous_blocks(cases, val=self.val, test=self.test)
        val, test, notes = exactly(self.val), exactly(self.test), list[str]()
        if len(patients) < 1 + (val > 0) + (test > 0):
            kept = len(patients) > 1
            missing = "test part" if kept else "val or test part"
            notes.append(f"too few patients for three parts ({len(patients)}): there is no {missing}")
            val, test = (val if kept else Fraction(0)), Fraction(0)
        totals = _totals(len(patients), val, test)
        rng = generator(self.seed, 0, 0, "split")
        dealt = deal(patients, totals, shares=(test, val, 1 - test - val), rng=rng)
        assigned = {patient: DEALT[part] for patient, part in dealt.items()}
        return Split(by_patient(cases, assigned), notes=tuple(notes))


def _totals(patients: int, val: Fraction, test: Fraction) -> tuple[int, int, int]:
    """Patients for test, val and train: the nearest whole numbers, one at least where a share is not 0.

    Halves are rounded up for test and down for val, so that the number for train is its share rounded up or down too.
    """
    half = Fraction(1, 2)
    num_test = max(int(test > 0), math.floor(patients * test + half))
    num_val = max(int(val > 0), math.ceil(patients * val - half))
    if num_test + num_val >= patients:  # nobody would train
        num_val, num_test = (num_val - 1, num_test) if num_val >= num_test else (num_val, num_test - 1)
    return num_test, num_val, patients - num_test - num_val
