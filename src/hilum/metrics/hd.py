"""The Hausdorff distance."""

from hilum.metrics.base import DistanceMetric
from hilum.metrics.pair import MaskPair


def hd(pair: MaskPair) -> float:
    """The largest distance from a voxel of either surface to the other surface, in the unit of the image.

    Metrics Reloaded (Maier-Hein et al. 2024). 0 where both are empty; the diagonal of the image where only one is.
    """
    return pair.distance(lambda found: max(found.first_to_second.max(), found.second_to_first.max()))


class HdMetric(DistanceMetric, kind="hd"):
    """Hausdorff distance between the surfaces, in mm or pixels: one voxel decides it (Maier-Hein et al. 2024)."""

    def measure(self, pair: MaskPair) -> float:
        """From 0 to the diagonal of the image; see `hd`."""
        return hd(pair)
