"""Intersection over union of the rims of two structures."""

import numpy as np
from pydantic import NonNegativeFloat

from hilum.metrics.base import OverlapMetric
from hilum.metrics.nsd import ROUNDING
from hilum.metrics.pair import MaskPair


def boundary_iou(pair: MaskPair, width_mm: float) -> float:
    """IoU of the voxels of T and of P that lie within `width_mm` of their own surface (Cheng et al. 2021).

    Distances run to the centre of the nearest surface voxel, which itself belongs to the rim. The width is in pixels
    where the image has no size. 1 where both are empty, 0 where only one is.
    """

    def of_found() -> float:
        truth, predicted = pair.surfaces.bands(width_mm * (1 + ROUNDING))
        return float(np.count_nonzero(truth & predicted) / np.count_nonzero(truth | predicted))

    return pair.overlap(of_found)


class BoundaryIouMetric(OverlapMetric, kind="boundary_iou"):
    """Boundary IoU: that of the rims alone, as the inside of a large structure is easy (Cheng et al. 2021)."""

    width_mm: NonNegativeFloat = 2.0
    """How deep the rim is, in mm; in pixels where an image has no size."""

    @property
    def column(self) -> str:
        """`boundary_iou` at the usual width of 2, otherwise with its width: `boundary_iou_1`."""
        return self.kind if self.width_mm == 2 else f"{self.kind}_{self.width_mm:g}"

    def measure(self, pair: MaskPair) -> float:
        """Between 0 and 1; see `boundary_iou`."""
        return boundary_iou(pair, self.width_mm)
