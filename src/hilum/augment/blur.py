"""Smooths images."""

import math

import numpy as np
import torch
from torch import Tensor

from hilum.augment.base import Draws, Frame, IntensityAugment, Share, Strengths
from hilum.augment.measures import fit

TRUNCATE = 3.0
"""The kernel ends after this many standard deviations."""


class BlurConfig(IntensityAugment, kind="blur"):
    """A Gaussian blur, the same number of voxels along every axis."""

    sigma_voxels: Strengths = (0.3, 0.8)
    """Standard deviation of the Gaussian, drawn evenly."""
    probability: Share = 0.2
    """Share of the samples that this step changes."""

    def draw(self, rng: np.random.Generator, frame: Frame) -> Draws:
        """One half of the sample's kernel, from its centre outwards."""
        del frame
        distances = np.arange(math.ceil(TRUNCATE * self.sigma_voxels[1]) + 1)
        sigma = max(float(rng.uniform(*self.sigma_voxels)), 1e-3)
        kernel = np.exp(-0.5 * (distances / sigma) ** 2)
        return {"kernel": (kernel / (2 * kernel.sum() - kernel[0])).astype(np.float32)}

    def apply(self, images: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Blurred images; edges extend outwards."""
        for axis in range(2, images.ndim):
            images = _blurred(images, axis, draws["kernel"])
        return images


def _blurred(images: Tensor, axis: int, kernels: Tensor) -> Tensor:
    """Images smoothed along one axis by one symmetric kernel (B, reach + 1) a sample."""
    reach, size = kernels.shape[1] - 1, images.shape[axis]
    around = torch.arange(-reach, size + reach, device=images.device).clamp_(0, size - 1)
    padded = images.index_select(axis, around)
    result = images * fit(kernels[:, 0], images)
    for distance in range(1, reach + 1):
        pair = padded.narrow(axis, reach - distance, size) + padded.narrow(axis, reach + distance, size)
        result += pair * fit(kernels[:, distance], images)
    return result
