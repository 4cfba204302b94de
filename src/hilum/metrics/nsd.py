"""The normalised surface distance: the share of both surfaces within a tolerance of each other."""

import numpy as np
from pydantic import NonNegativeFloat

from hilum.metrics.base import OverlapMetric
from hilum.metrics.pair import MaskPair

ROUNDING = 1e-5
"""A distance this much above the tolerance, relatively, still counts: 5 voxels of 0.2 mm are 1 mm."""


def nsd(pair: MaskPair, tolerance_mm: float) -> float:
    """Surface voxels of both within the tolerance of the other surface, over all surface voxels (Nikolov et al. 2021).

    The tolerance is in pixels where the image has no size. 1 where both are empty, 0 where only one is.
    """

    def of_found() -> float:
        found = pair.distances
        distances = np.concatenate([found.first_to_second, found.second_to_first])
        return float(np.mean(distances <= tolerance_mm * (1 + ROUNDING)))

    return pair.overlap(of_found)


class NsdMetric(OverlapMetric, kind="nsd"):
    """Normalised surface distance (surface Dice): share of both within a tolerance (Nikolov et al. 2021)."""

    tolerance_mm: NonNegativeFloat = 1.0
    """Deviation that is clinically acceptable, in mm; in pixels where an image has no size."""

    @property
    def column(self) -> str:
        """`nsd` at the usual tolerance of 1, otherwise with its tolerance: `nsd_2`, `nsd_0.5`."""
        return "nsd" if self.tolerance_mm == 1 else f"nsd_{self.tolerance_mm:g}"

    def measure(self, pair: MaskPair) -> float:
        """Between 0 and 1; see `nsd`."""
        return nsd(pair, self.tolerance_mm)
