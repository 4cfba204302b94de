"""One fold of a k-fold cross-validation by patient."""

from collections.abc import Mapping, Sequence
from typing import Self

from hilum.case import Case
from hilum.data.splits.base import Split
from hilum.data.splits.folds import FoldsConfig, fewer_folds


class KFoldConfig(FoldsConfig, kind="kfold"):
    """One of k folds by patient: the fold is the test part, val is drawn from the others."""

    def assign(self, cases: Sequence[Case], *, labels: Mapping[str, str]) -> Split:
        """The split of this fold; too few patients give fewer folds, one gives contiguous blocks, with a note.

        Raises SplitError for a fold that there is not then, and for a single case.
        """
        return self._fold_split(cases, labels, repeat=0)

    def runs(self, cases: Sequence[Case]) -> tuple[Self, ...]:
        """Every fold."""
        folds, _ = fewer_folds(cases, self.folds, "folds")
        return tuple(self.model_copy(update={"fold": fold}) for fold in range(folds))

    @property
    def run_name(self) -> str:
        """fold-0 and so on."""
        return f"fold-{self.fold}"
