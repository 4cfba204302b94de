"""Recall of the voxels of a structure."""

from hilum.metrics.base import OverlapMetric
from hilum.metrics.pair import MaskPair


def recall(pair: MaskPair) -> float:
    """|T and P| / |T|; 1 where both are empty, 0 where only one is."""
    return pair.overlap(lambda: pair.shared_voxels / pair.truth_voxels)


class RecallMetric(OverlapMetric, kind="recall"):
    """Recall (sensitivity) of voxels: the share of the true structure that was predicted (Maier-Hein et al. 2024)."""

    def measure(self, pair: MaskPair) -> float:
        """Between 0 and 1; see `recall`."""
        return recall(pair)
