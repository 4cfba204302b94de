"""Recall of the voxels of a structure."""

from hilum.metrics.base import OverlapMetric
from hilum.metrics.pair import MaskPair


def recall(pair: MaskPair) -> float:
    """|T and P| / |T|; 1 where both are empty, 0 where only one is."""
    return pair.overlap(lambda: pair.shared_voxels / pair.truth_voxels)


class RecallMetric(OverlapMetric, kind="recall"):
    """Recall (sensitivity) of the voxels of each structure: the share of the truth that was predicted."""

    def measure(self, pair: MaskPair) -> float:
        """Between 0 and 1; see `recall`."""
        return recall(pair)
