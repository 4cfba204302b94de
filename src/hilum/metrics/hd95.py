"""The 95th percentile of the Hausdorff distance."""

from typing import ClassVar, Literal

import numpy as np

from hilum.metrics.base import CaseMetric
from hilum.metrics.pair import MaskPair

PERCENTILE = 95
"""Of each direction, linearly interpolated between the two nearest ranks."""


def hd95(pair: MaskPair) -> float:
    """The larger of the two directed 95th percentiles of surface distances, in the unit of the image.

    Metrics Reloaded (Maier-Hein et al. 2024). 0 where both are empty; the diagonal of the image where only one is,
    which no structure that was found can reach.
    """
    if pair.status == "absent":
        return 0.0
    if pair.status != "found":
        return pair.diagonal
    distances = pair.distances
    directed = (distances.first_to_second, distances.second_to_first)
    return max(float(np.percentile(values, PERCENTILE)) for values in directed)


class Hd95Metric(CaseMetric, kind="hd95"):
    """95th percentile of the Hausdorff distance between the surfaces, in mm (pixels where an image has no size)."""

    better: ClassVar[Literal["higher", "lower"]] = "lower"
    in_unit: ClassVar[bool] = True

    def measure(self, pair: MaskPair) -> float:
        """From 0 to the diagonal of the image; see `hd95`."""
        return hd95(pair)
