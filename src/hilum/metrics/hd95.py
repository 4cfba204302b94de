"""The 95th percentile of the Hausdorff distance."""

import numpy as np

from hilum.metrics.base import DistanceMetric
from hilum.metrics.pair import MaskPair

PERCENTILE = 95
"""Of each direction, linearly interpolated between the two nearest ranks."""


def hd95(pair: MaskPair) -> float:
    """The larger of the two directed 95th percentiles of surface distances, in the unit of the image.

    Metrics Reloaded (Maier-Hein et al. 2024). 0 where both are empty; the diagonal of the image where only one is,
    which no structure that was found can reach.
    """
    return pair.distance(
        lambda found: max(
            float(np.percentile(values, PERCENTILE)) for values in (found.first_to_second, found.second_to_first)
        )
    )


class Hd95Metric(DistanceMetric, kind="hd95"):
    """95th percentile of the Hausdorff distance between the surfaces, in mm or pixels (Maier-Hein et al. 2024)."""

    def measure(self, pair: MaskPair) -> float:
        """From 0 to the diagonal of the image; see `hd95`."""
        return hd95(pair)
