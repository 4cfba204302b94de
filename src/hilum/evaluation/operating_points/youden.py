"""The operating point of highest sensitivity + specificity."""

from hilum.evaluation.operating_points.base import Floats, OperatingPointConfig


class YoudenPoint(OperatingPointConfig, kind="youden"):
    """Highest sensitivity + specificity - 1 (Youden 1950)."""

    def worth(self, sensitivity: Floats, specificity: Floats, prevalence: float) -> Floats:
        """Youden's J."""
        del prevalence
        return sensitivity + specificity - 1
