"""What all splits that hilum draws have in common: a seed, columns to stratify by, folds, and a validation part."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from hilum.case import Case
from hilum.data.splits.base import Part, SplitConfig
from hilum.data.splits.dealing import deal, exactly
from hilum.data.splits.strata import ColumnConfig, Patient, patients_of, values_of
from hilum.random import generator

NO_VAL = "too few patients for a val part: one is left to train on"
Share = Annotated[float, Field(ge=0, lt=1)]


def _as_list(received: Any) -> Any:
    return [received] if isinstance(received, str | dict) else received


Stratify = Annotated[
    tuple[str | ColumnConfig, ...] | None,
    BeforeValidator(_as_list, json_schema_input_type=tuple[str | ColumnConfig, ...] | str | ColumnConfig | None),
]


class DrawnConfig(SplitConfig):
    """A split that is drawn: each part gets its share of the patients of every stratum."""

    stratify: Stratify = None
    """Columns whose values every part gets its share of, the most important one first; `label` is the class, which
    is the default where there is one. A column of many numbers needs `{column: age, bins: 4}`."""
    seed: int = 17
    """Which patients fall into which part; independent of the training's seed."""

    def values(self, cases: Sequence[Case], *, labels: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """By column, the value of each case id: the class, then what the split is stratified by."""
        return {**super().values(cases, labels=labels), **values_of(cases, labels, self.stratify)}

    def _patients(self, cases: Sequence[Case], labels: Mapping[str, str]) -> list[Patient]:
        return patients_of(cases, labels, self.stratify)

    def _folds(self, patients: Sequence[Patient], folds: int, *, repeat: int = 0) -> dict[str, int]:
        """The fold of each patient id; there are at least as many patients as folds."""
        rng = generator(self.seed, repeat, 0, "split")
        return deal(patients, fold_sizes(len(patients), folds), shares=[Fraction(1, folds)] * folds, rng=rng)

    def _with_val(
        self, patients: Sequence[Patient], val: float, *, draw: tuple[int, int]
    ) -> tuple[dict[str, Part], tuple[str, ...]]:
        """Patients that are not tested, as train and val, and a note where there are too few for both."""
        if not val or len(patients) < 2:
            return dict.fromkeys((patient.id for patient in patients), "train"), (NO_VAL,) if val else ()
        share = exactly(val)
        count = min(max(1, round(share * len(patients))), len(patients) - 1)
        rng = generator(self.seed, *draw, "split val")
        dealt = deal(patients, (count, len(patients) - count), shares=(share, 1 - share), rng=rng)
        return {patient: "train" if part else "val" for patient, part in dealt.items()}, ()


def fold_sizes(patients: int, folds: int) -> list[int]:
    """How many patients each fold gets: the first ones get one more where they do not divide evenly."""
    return [patients // folds + (fold < patients % folds) for fold in range(folds)]


def numbered(value: int, count: int, name: str) -> None:
    """Raise ValueError for the number of a fold that there is not."""
    if value >= count:
        raise ValueError(f"a {name} from 0 to {count - 1}, {name} is {value}")
