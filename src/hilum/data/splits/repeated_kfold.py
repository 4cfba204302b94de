"""One fold of one repeat of a k-fold cross-validation by patient."""

from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import NonNegativeInt, PositiveInt, model_validator

from hilum.case import Case
from hilum.data.splits.base import Split
from hilum.data.splits.drawn import numbered
from hilum.data.splits.folds import FoldsConfig, divisible, fewer_folds, refuse_beyond

ONE_REPEAT = "one patient: its blocks are the same in every repeat"


class RepeatedKFoldConfig(FoldsConfig, kind="repeated_kfold"):
    """k folds by patient, drawn anew several times: shows how much of a score is the luck of the draw."""

    repeats: PositiveInt = 3
    """How often all folds are drawn; the first time they are those of `kfold`."""
    repeat: NonNegativeInt = 0
    """Which repeat the fold belongs to."""

    @model_validator(mode="after")
    def _repeat_exists(self) -> Self:
        numbered(self.repeat, self.repeats, "repeat")
        return self

    def assign(self, cases: Sequence[Case], *, labels: Mapping[str, str]) -> Split:
        """The split of this fold, numbered through all repeats; too few patients give fewer folds, with a note.

        Raises SplitError for a fold or a repeat that there is not then, and for a single case.
        """
        refuse_beyond(self.repeat, self._repeats(cases), "repeat", (ONE_REPEAT,))
        return self._fold_split(cases, labels, repeat=self.repeat)

    def runs(self, cases: Sequence[Case]) -> tuple[Self, ...]:
        """Every fold of every repeat."""
        folds, _ = fewer_folds(cases, self.folds, "folds")
        numbers = ((repeat, fold) for repeat in range(self._repeats(cases)) for fold in range(folds))
        return tuple(self.model_copy(update={"repeat": repeat, "fold": fold}) for repeat, fold in numbers)

    @property
    def run_name(self) -> str:
        """repeat-0-fold-0 and so on."""
        return f"repeat-{self.repeat}-fold-{self.fold}"

    def _repeats(self, cases: Sequence[Case]) -> int:
        """How many repeats differ: nothing is drawn where one patient's scans are cut into blocks."""
        return 1 if divisible(cases)[1] != "patients" else self.repeats
