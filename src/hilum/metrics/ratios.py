"""The family of a confusion matrix: counts of cases and their ratios, each class against the rest; one line a score."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import new_class
from typing import ClassVar, cast

import numpy as np

from hilum.metrics.base import Better, CohortMetric, Floats, Indices
from hilum.metrics.confusion import ClassCounts, class_counts, confusion, ratio


@dataclass(frozen=True)
class Ratio:
    """A score: its kind, its formula, what it is, and when it is undefined."""

    kind: str
    formula: Callable[[ClassCounts], Floats]
    meaning: str
    undefined: str = ""
    better: Better = "higher"
    ranks: bool = True


def sensitivity(n: ClassCounts) -> Floats:
    """TP / (TP + FN)."""
    return ratio(n.tp, n.tp + n.fn)


def specificity(n: ClassCounts) -> Floats:
    """TN / (TN + FP)."""
    return ratio(n.tn, n.tn + n.fp)


def precision(n: ClassCounts) -> Floats:
    """TP / (TP + FP)."""
    return ratio(n.tp, n.tp + n.fp)


def npv(n: ClassCounts) -> Floats:
    """TN / (TN + FN)."""
    return ratio(n.tn, n.tn + n.fn)


def prevalence_threshold(n: ClassCounts) -> Floats:
    """sqrt(FPR) / (sqrt(sensitivity) + sqrt(FPR)), which is Balayla's formula with its common factor cancelled."""
    true_rate, false_rate = np.sqrt(sensitivity(n)), np.sqrt(1 - specificity(n))
    return ratio(false_rate, true_rate + false_rate)


NO_CASE = "no case of the class"
NO_OTHER = "every case is of the class"
NEVER = "the class was never predicted"
ALWAYS = "the class was always predicted"

RATIOS = (
    Ratio(
        "tp", lambda n: n.tp, "True positives (TP): cases of the class that were predicted to be of it (Fawcett 2006)."
    ),
    Ratio(
        "fp",
        lambda n: n.fp,
        "False positives (FP): other cases that were predicted to be of the class (Fawcett 2006).",
        "",
        "lower",
    ),
    Ratio(
        "fn",
        lambda n: n.fn,
        "False negatives (FN): cases of the class that were not predicted so (Fawcett 2006).",
        "",
        "lower",
    ),
    Ratio(
        "tn",
        lambda n: n.tn,
        "True negatives (TN): other cases that were not predicted to be of the class (Fawcett 2006).",
    ),
    Ratio(
        "prevalence",
        lambda n: ratio(n.tp + n.fn, n.tp + n.fp + n.fn + n.tn),
        "Prevalence: share of the cases that are of the class, (TP + FN) / all (Altman and Bland 1994, BMJ 309).",
        ranks=False,
    ),
    Ratio(
        "sensitivity",
        sensitivity,
        "Sensitivity (recall, true positive rate): TP / (TP + FN) (Altman and Bland 1994, BMJ 308).",
        NO_CASE,
    ),
    Ratio(
        "specificity",
        specificity,
        "Specificity (true negative rate): TN / (TN + FP) (Altman and Bland 1994, BMJ 308).",
        NO_OTHER,
    ),
    Ratio("npv", npv, "Negative predictive value: TN / (TN + FN) (Altman and Bland 1994, BMJ 309).", ALWAYS),
    Ratio(
        "fdr",
        lambda n: ratio(n.fp, n.tp + n.fp),
        "False discovery rate: FP / (TP + FP), 1 - precision (Benjamini and Hochberg 1995).",
        NEVER,
        "lower",
    ),
    Ratio(
        "for",
        lambda n: ratio(n.fn, n.tn + n.fn),
        "False omission rate: FN / (TN + FN), 1 - NPV (Altman and Bland 1994, BMJ 309).",
        ALWAYS,
        "lower",
    ),
    Ratio(
        "fpr",
        lambda n: ratio(n.fp, n.tn + n.fp),
        "False positive rate (fall-out): FP / (TN + FP), 1 - specificity (Fawcett 2006).",
        NO_OTHER,
        "lower",
    ),
    Ratio(
        "fnr",
        lambda n: ratio(n.fn, n.tp + n.fn),
        "False negative rate (miss rate): FN / (TP + FN), 1 - sensitivity (Altman and Bland 1994, BMJ 308).",
        NO_CASE,
        "lower",
    ),
    Ratio(
        "fowlkes_mallows",
        lambda n: np.sqrt(precision(n) * sensitivity(n)),
        "Fowlkes-Mallows index: the geometric mean of precision and sensitivity (Fowlkes and Mallows 1983).",
        f"{NO_CASE}, or {NEVER}",
    ),
    Ratio(
        "informedness",
        lambda n: sensitivity(n) + specificity(n) - 1,
        "Informedness (Youden's J): sensitivity + specificity - 1 (Youden 1950; Powers 2011).",
        f"{NO_CASE}, or {NO_OTHER}",
    ),
    Ratio(
        "markedness",
        lambda n: precision(n) + npv(n) - 1,
        "Markedness: precision + NPV - 1 (Powers 2011).",
        f"{NEVER}, or always",
    ),
    Ratio(
        "threat_score",
        lambda n: ratio(n.tp, n.tp + n.fp + n.fn),
        "Threat score (critical success index): TP / (TP + FP + FN) (Gilbert 1884; Schaefer 1990).",
        f"{NO_CASE}, and {NEVER}",
    ),
    Ratio(
        "lr_positive",
        lambda n: ratio(sensitivity(n), 1 - specificity(n)),
        "Positive likelihood ratio: sensitivity / (1 - specificity) (Deeks and Altman 2004).",
        f"no false positive to divide by, {NO_CASE}, or {NO_OTHER}",
    ),
    Ratio(
        "lr_negative",
        lambda n: ratio(1 - sensitivity(n), specificity(n)),
        "Negative likelihood ratio: (1 - sensitivity) / specificity (Deeks and Altman 2004).",
        f"no true negative to divide by, or {NO_CASE}",
        "lower",
    ),
    Ratio(
        "diagnostic_odds_ratio",
        lambda n: ratio(n.tp * n.tn, n.fp * n.fn),
        "Diagnostic odds ratio: TP TN / (FP FN), without a correction for empty cells (Glas et al. 2003).",
        "no false positive or no false negative to divide by",
    ),
    Ratio(
        "prevalence_threshold",
        prevalence_threshold,
        "Prevalence threshold: below it precision falls steeply, sqrt(FPR) / (sqrt(TPR) + sqrt(FPR)) (Balayla 2020).",
        f"neither a true nor a false positive, {NO_CASE}, or {NO_OTHER}",
        "lower",
    ),
)


class CountRatio(CohortMetric):
    """A score of each class against the rest, from the predicted classes alone."""

    formula: ClassVar[Callable[[ClassCounts], Floats]]

    def weighted(
        self, truth: Indices, probabilities: Floats, *, classes: Sequence[str], weights: Floats
    ) -> dict[str, Floats]:
        """The value of the second of two classes, otherwise the mean over the classes (macro); and that of each."""
        counts = class_counts(confusion(truth, probabilities, weights))
        return self.with_classes(type(self).formula(counts), classes)


def _register(score: Ratio) -> type[CountRatio]:
    content = {
        "__doc__": score.meaning,
        "__module__": __name__,
        "formula": staticmethod(score.formula),
        "undefined": score.undefined,
        "better": score.better,
        "ranks": score.ranks,
    }
    name = "".join(part.capitalize() for part in score.kind.split("_")) + "Metric"
    return cast(
        "type[CountRatio]", new_class(name, (CountRatio,), {"kind": score.kind}, lambda body: body.update(content))
    )


COUNT_RATIOS = tuple(map(_register, RATIOS))
globals().update({made.__name__: made for made in COUNT_RATIOS})  # where a pickle looks for them
