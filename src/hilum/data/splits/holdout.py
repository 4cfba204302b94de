"""One division into train, val and test by patient."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from hilum.case import Case
from hilum.data.splits.base import Part, Split, SplitConfig, by_patient, contiguous_blocks, patients_by_stratum, shares


class HoldoutConfig(SplitConfig, kind="holdout"):
    """One division by patient, stratified by class where cases have one."""

    val: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of the patients that choices are made on."""
    test: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of the patients that the final score is measured on."""
    seed: int = 17
    """Which patients fall into which part; independent of the training's seed."""

    @model_validator(mode="after")
    def _something_left_to_train_on(self) -> Self:
        if self.val + self.test >= 1:
            raise ValueError(f"shares that leave patients for training, val + test is {self.val + self.test:g}")
        return self

    def assign(self, cases: Sequence[Case], *, labels: Mapping[str, str]) -> Split:
        """The split of these cases; too few patients give fewer parts, with a note."""
        strata = patients_by_stratum(cases, labels, self.seed)
        total = sum(len(patients) for patients in strata)
        if total == 1 and len(cases) > 1:
            return contiguous_blocks(cases, val=self.val, test=self.test)
        val, test, notes = self.val, self.test, list[str]()
        if total < 1 + (val > 0) + (test > 0):
            val, test = (val, 0.0) if total > 1 else (0.0, 0.0)
            missing = "test part" if val else "val or test part"
            notes.append(f"too few patients for three parts ({total}): there is no {missing}")
        sizes = [len(patients) for patients in strata]
        num_test = shares(sizes, test)
        left = sum(sizes) - sum(num_test)
        num_val = shares(
            [size - n for size, n in zip(sizes, num_test, strict=True)], val * total / left if left else 0.0
        )
        assigned: dict[str, Part] = {}
        for patients, n_test, n_val in zip(strata, num_test, num_val, strict=True):
            for position, patient in enumerate(patients):
                assigned[patient] = "test" if position < n_test else "val" if position < n_test + n_val else "train"
        return Split(by_patient(cases, assigned), notes=tuple(notes))
