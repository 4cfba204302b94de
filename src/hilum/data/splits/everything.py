"""No part held back: all patients train."""

from collections.abc import Mapping, Sequence

from hilum.case import Case
from hilum.data.splits.base import Split, SplitConfig


class AllConfig(SplitConfig, kind="all"):
    """No part held back: a final model on all patients, which cannot be scored on them."""

    def assign(self, cases: Sequence[Case], *, labels: Mapping[str, str]) -> Split:
        """Everything in the training part."""
        return Split({"train": tuple(cases)}, notes=("all patients train: no score can be given",))
