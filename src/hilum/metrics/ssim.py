"""The structural similarity of a restored image."""

import math
from typing import ClassVar

import numpy as np

from hilum.metrics.base import Floats
from hilum.metrics.images import RangedMetric

SIGMA, RADIUS = 1.5, 5
"""Of the Gaussian window in voxels: 11 wide, as published."""
K1, K2 = 0.01, 0.03


def ssim(truth: Floats, restored: Floats, data_range: float) -> float:
    """Mean structural similarity of images (I, J, K) over the voxels whose whole window lies inside.

    Wang et al. 2004 (doi:10.1109/TIP.2003.819861): Gaussian window of standard deviation 1.5 and 11 voxels, along every
    axis of more than one voxel; K1 = 0.01, K2 = 0.03. NaN for images shorter than the window, and for a range of 0.
    """
    from scipy.ndimage import gaussian_filter

    true, found = (image.squeeze().astype(np.float64) for image in (truth, restored))
    if not true.ndim or min(true.shape) <= 2 * RADIUS or not data_range > 0:
        return math.nan

    def local(image: Floats) -> Floats:
        mean: Floats = gaussian_filter(image, SIGMA, radius=RADIUS)
        return mean

    means = local(true), local(found)
    variances = local(true**2) - means[0] ** 2, local(found**2) - means[1] ** 2
    covariance = local(true * found) - means[0] * means[1]
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    above = (2 * means[0] * means[1] + c1) * (2 * covariance + c2)
    below = (means[0] ** 2 + means[1] ** 2 + c1) * (variances[0] + variances[1] + c2)
    inside = (slice(RADIUS, -RADIUS),) * true.ndim
    return float((above / below)[inside].mean())


class SsimMetric(RangedMetric, kind="ssim"):
    """Structural similarity (Wang et al. 2004): Gaussian window of 11 voxels, 1 for equal images."""

    undefined: ClassVar[str] = "the image is shorter than 11 voxels along an axis, or the wanted one has no contrast"

    def compare(self, truth: Floats, restored: Floats) -> float:
        """At most 1, the mean over the channels."""
        return self.of_channels(truth, restored, ssim)
