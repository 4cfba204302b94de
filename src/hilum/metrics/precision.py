"""Precision: of the voxels of a structure, or of the cases of a class."""

from collections.abc import Callable
from typing import ClassVar

from hilum.metrics.base import Floats, OverlapMetric, Task
from hilum.metrics.confusion import ClassCounts
from hilum.metrics.pair import MaskPair
from hilum.metrics.ratios import NEVER, CountRatio
from hilum.metrics.ratios import precision as precision_of_classes


def precision(pair: MaskPair) -> float:
    """|T and P| / |P|; 1 where both are empty, 0 where only one is."""
    return pair.overlap(lambda: pair.shared_voxels / pair.predicted_voxels)


class PrecisionMetric(OverlapMetric, CountRatio, kind="precision"):
    """Precision (positive predictive value): TP / (TP + FP), of voxels or of cases (Altman and Bland 1994, BMJ 309)."""

    tasks: ClassVar[tuple[Task, ...]] = ("classification", "multilabel", "segmentation")
    undefined: ClassVar[str] = NEVER
    formula: ClassVar[Callable[[ClassCounts], Floats]] = staticmethod(precision_of_classes)

    def measure(self, pair: MaskPair) -> float:
        """Between 0 and 1; see `precision`."""
        return precision(pair)
