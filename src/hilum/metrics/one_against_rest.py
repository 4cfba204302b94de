"""Scores of a ranking: each class against the rest, and how the classes are put together."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from hilum.metrics.base import CohortMetric, Floats, Indices
from hilum.metrics.confusion import ratio
from hilum.problem import Problem


class OneAgainstRest(CohortMetric):
    """A score of the probability of one class, against all others together."""

    undefined: ClassVar[str] = "no case of the class, or no other"
    same_of_both: ClassVar[bool] = False
    """Whether either of two classes has the same value, so that it is not repeated."""

    def of_class(self, positive: npt.NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
        """The value (R,) from which cases are positive (N,), their scores (N,) and weights (R, N)."""
        raise NotImplementedError

    def each(self, truth: Indices, probabilities: Floats, weights: Floats) -> Floats:
        """The value of each class (R, C)."""
        columns = range(probabilities.shape[1])
        return np.stack([self.of_class(truth == one, probabilities[:, one], weights) for one in columns], axis=1)

    def weighted(
        self, truth: Indices, probabilities: Floats, *, classes: Sequence[str], weights: Floats
    ) -> dict[str, Floats]:
        """The value of the second of two classes, otherwise the mean over the classes (macro); and that of each."""
        if self.same_of_both and len(classes) == 2:
            return {self.column: self.of_class(truth == 1, probabilities[:, 1], weights)}
        return self.with_classes(self.each(truth, probabilities, weights), classes)


class AveragedOneAgainstRest(OneAgainstRest):
    """A score of each class against the rest, with a choice of how the classes are put together."""

    average: Literal["macro", "micro", "weighted"] = "macro"
    """macro: the mean of the classes, of two the second; weighted: by their cases; micro: all decisions pooled."""

    def faults(self, problem: Problem) -> list[str]:
        """Findings are averaged one by one."""
        if problem.kind == "multilabel" and self.average != "macro":
            return [f"average: received {self.average}, a multilabel task has the mean over its findings only: macro"]
        return super().faults(problem)

    @property
    def column(self) -> str:
        """The kind; with `_micro` or `_weighted` where the average is not the plain one."""
        return self.kind if self.average == "macro" else f"{self.kind}_{self.average}"

    def weighted(
        self, truth: Indices, probabilities: Floats, *, classes: Sequence[str], weights: Floats
    ) -> dict[str, Floats]:
        """macro: the value and that of each class; micro and weighted: one value."""
        if self.average == "macro":
            return super().weighted(truth, probabilities, classes=classes, weights=weights)
        members = np.eye(len(classes), dtype=bool)[truth]
        if self.average == "micro":  # each case stands once for every class, in parts so that memory stays the same
            positive, scores, repeats = members.ravel(), probabilities.ravel(), len(classes)
            parts = np.array_split(weights, min(repeats, len(weights)))
            values = [self.of_class(positive, scores, np.repeat(part, repeats, axis=1)) for part in parts]
            return {self.column: np.concatenate(values)}
        each, sizes = self.each(truth, probabilities, weights), weights @ members
        defined = ~np.isnan(each)
        sums = np.where(defined, each * sizes, 0).sum(axis=1)
        return {self.column: ratio(sums, np.where(defined, sizes, 0).sum(axis=1))}
