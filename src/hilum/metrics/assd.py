"""Average distances of two surfaces: over all their voxels together, and of each direction."""

import numpy as np

from hilum.metrics.base import DistanceMetric
from hilum.metrics.pair import MaskPair


def assd(pair: MaskPair) -> float:
    """The mean over all voxels of both surfaces of the distance to the other one, in the unit of the image.

    Metrics Reloaded (Maier-Hein et al. 2024). 0 where both are empty; the diagonal of the image where only one is.
    """
    return pair.distance(lambda found: float(np.mean(np.concatenate([found.first_to_second, found.second_to_first]))))


def masd(pair: MaskPair) -> float:
    """The mean of the two directed means of surface distances, in the unit of the image; otherwise as `assd`."""
    return pair.distance(lambda found: float(found.first_to_second.mean() + found.second_to_first.mean()) / 2)


class AssdMetric(DistanceMetric, kind="assd"):
    """Average symmetric surface distance, in mm or pixels: the larger surface weighs more (Maier-Hein et al. 2024)."""

    def measure(self, pair: MaskPair) -> float:
        """From 0 to the diagonal of the image; see `assd`."""
        return assd(pair)


class MasdMetric(DistanceMetric, kind="masd"):
    """Mean average surface distance, in mm or pixels: both surfaces weigh the same (Maier-Hein et al. 2024)."""

    def measure(self, pair: MaskPair) -> float:
        """From 0 to the diagonal of the image; see `masd`."""
        return masd(pair)
