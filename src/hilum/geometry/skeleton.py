"""The centreline of a binary structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]


def skeleton(mask: Mask) -> Mask:
    """The voxels of the centreline, same shape: thinning that keeps the topology (Lee, Kashyap and Chu 1994).

    Computed by scikit-image, in two dimensions where an axis has a single voxel.
    """
    from skimage.morphology import skeletonize

    flat = np.squeeze(mask)
    if flat.ndim < 2:
        flat = np.atleast_2d(flat)
    thin: Mask = skeletonize(np.ascontiguousarray(flat), method="lee").astype(bool)
    return thin.reshape(mask.shape)
