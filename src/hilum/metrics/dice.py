"""The Dice coefficient."""

from hilum.metrics.base import OverlapMetric
from hilum.metrics.pair import MaskPair


def dice(pair: MaskPair) -> float:
    """2 |T and P| / (|T| + |P|) (Dice 1945); 1 where both are empty, 0 where only one is."""
    return pair.overlap(lambda: 2 * pair.shared_voxels / (pair.truth_voxels + pair.predicted_voxels))


class DiceMetric(OverlapMetric, kind="dice"):
    """Dice coefficient of each structure: twice the overlap over the sum of both volumes (Dice 1945)."""

    def measure(self, pair: MaskPair) -> float:
        """Between 0 and 1; see `dice`."""
        return dice(pair)
