"""Detection of lesions: the connected components of a structure as the truth and as the prediction have them."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from hilum.geometry.lesions import Matching
from hilum.metrics.base import Better, CaseMetric, Measured, OverlapMetric
from hilum.metrics.pair import MaskPair

LEAST_IOU = 0.5


@dataclass(frozen=True)
class Detection:
    """How many lesions of a case were found, invented and missed, and the summed IoU of those that were found."""

    found: int
    invented: int
    missed: int
    iou: float


def detection(pair: MaskPair, matching: Matching, least_iou: float = LEAST_IOU) -> Detection:
    """The lesions of truth and prediction, matched one to one; see `Lesions.matches` for the rules."""
    lesions = pair.lesions
    matches = lesions.matches(matching, least_iou)
    found = len(matches)
    missed, invented = len(lesions.first_sizes) - found, len(lesions.second_sizes) - found
    return Detection(found, invented, missed, float(lesions.iou[matches].sum()))


class LesionMetric(CaseMetric):
    """A score of connected components; neighbours share a face, an edge or a corner."""

    usual: ClassVar[Matching] = "overlap"
    matching: Matching = "overlap"
    """overlap: one voxel in common; iou: more than `iou`; centre: that of the predicted lies in the true lesion."""
    iou: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Intersection over union that a match has to exceed, with `matching: iou` only: 0.5 where it is not given."""

    @model_validator(mode="after")
    def _iou_has_a_use(self) -> Self:
        if self.iou is not None and self.matching != "iou":
            raise ValueError(f"matching: iou where `iou` is given, received matching: {self.matching}")
        return self

    @property
    def column(self) -> str:
        """The kind; with the rule where it is not the usual one: `lesion_f1_centre`, `lesion_f1_iou_0.1`."""
        least = [] if self.iou in (None, LEAST_IOU) else [f"{self.iou:g}"]
        rule = [self.matching] if least or self.matching != self.usual else []
        return "_".join([self.kind, *rule, *least])

    def detected(self, pair: MaskPair) -> Detection:
        """The lesions of the pair, matched by the rule of this metric."""
        return detection(pair, self.matching, LEAST_IOU if self.iou is None else self.iou)


class LesionF1Metric(LesionMetric, OverlapMetric, kind="lesion_f1"):
    """F1 of the lesions of each case: 2 TP / (2 TP + FP + FN), matched one to one (Maier-Hein et al. 2024)."""

    def measure(self, pair: MaskPair) -> float:
        """Between 0 and 1; 1 where there is no lesion and none was predicted."""
        n = self.detected(pair)
        return pair.overlap(lambda: 2 * n.found / (2 * n.found + n.invented + n.missed))


class LesionSensitivityMetric(LesionMetric, OverlapMetric, kind="lesion_sensitivity"):
    """Share of the true lesions of a case found, matched one to one: TP / (TP + FN) (Maier-Hein et al. 2024)."""

    def measure(self, pair: MaskPair) -> float:
        """Between 0 and 1; 1 where there is no lesion and none was predicted, 0 where all are invented."""
        n = self.detected(pair)
        return pair.overlap(lambda: n.found / (n.found + n.missed))


class LesionFalsePositivesMetric(LesionMetric, kind="lesion_false_positives"):
    """False positives a case: predicted lesions that match no true one (Maier-Hein et al. 2024)."""

    better: ClassVar[Better] = "lower"
    measures: ClassVar[Measured] = "number"

    def measure(self, pair: MaskPair) -> float:
        """From 0 on."""
        return float(self.detected(pair).invented)


class PanopticQualityMetric(LesionMetric, OverlapMetric, kind="panoptic_quality"):
    """Panoptic quality: the summed IoU of the lesions found over TP + FP / 2 + FN / 2 (Kirillov et al. 2019)."""

    usual: ClassVar[Matching] = "iou"
    matching: Matching = "iou"
    """iou: more than `iou` (above 0.5 a match is unique); overlap: one voxel in common; centre: as for `lesion_f1`."""

    def measure(self, pair: MaskPair) -> float:
        """Between 0 and 1; 1 where there is no lesion and none was predicted."""
        n = self.detected(pair)
        return pair.overlap(lambda: n.iou / (n.found + n.invented / 2 + n.missed / 2))
