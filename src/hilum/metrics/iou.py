"""Intersection over union."""

from hilum.metrics.base import OverlapMetric
from hilum.metrics.pair import MaskPair


def iou(pair: MaskPair) -> float:
    """|T and P| / |T or P| (Jaccard 1912); 1 where both are empty, 0 where only one is."""
    return pair.overlap(lambda: pair.shared_voxels / (pair.truth_voxels + pair.predicted_voxels - pair.shared_voxels))


class IouMetric(OverlapMetric, kind="iou"):
    """Intersection over union (Jaccard index) of each structure (Jaccard 1912)."""

    def measure(self, pair: MaskPair) -> float:
        """Between 0 and 1; see `iou`."""
        return iou(pair)
