"""The scanner of phantom patients: grids of every kind, noise, a bias field, and the brightness of no fixed unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hilum.sources.phantom_anatomy import rotation

if TYPE_CHECKING:
    import numpy.typing as npt

    from hilum.sources.phantom_anatomy import Anatomy, Array

FIELD_MM = 96.0
"""Width of the field of view along every axis."""

NOISE = 0.06
"""Standard deviation of the noise in either part of the signal; the organ's brightness is 0.6."""

BIAS = 0.2
"""Largest change of brightness by the receiver's field, as a share."""

PROTOCOLS = ("isotropic", "thick_slices", "oblique", "thick_oblique")
"""How a scan was planned; written into the manifest so that scores can be grouped by it."""


@dataclass(frozen=True)
class Scan:
    """What came out of the scanner: voxels (I, J, K), their labels, the affine in RAS+ mm, and how it was planned."""

    voxels: npt.NDArray[np.int16]
    labels: npt.NDArray[np.uint8]
    affine: Array
    protocol: str


def scan(anatomy: Anatomy, rng: np.random.Generator, *, spacing_mm: float) -> Scan:
    """A scan of the patient on a grid of its own, stored along axes in any order and direction."""
    protocol = PROTOCOLS[rng.integers(len(PROTOCOLS))]
    shape, affine = _plan(rng, protocol, spacing_mm)
    indices = np.stack(np.meshgrid(*(np.arange(size) for size in shape), indexing="ij"), axis=-1)
    points_mm = indices @ affine[:3, :3].T + affine[:3, 3]
    seen = anatomy.brightness(points_mm) * _bias(rng, points_mm)
    # The magnitude of a complex signal: Rician noise, as in MR images.
    noisy = np.hypot(seen + rng.normal(0.0, NOISE, shape), rng.normal(0.0, NOISE, shape))
    voxels = np.rint(noisy * rng.uniform(400.0, 1200.0)).astype(np.int16)
    return Scan(voxels, anatomy.labels(points_mm), affine, protocol)


def _plan(rng: np.random.Generator, protocol: str, spacing_mm: float) -> tuple[tuple[int, int, int], Array]:
    """Shape and affine of a grid whose centre lies near the patient's."""
    spacing = np.full(3, spacing_mm) * rng.uniform(0.95, 1.05)
    if "thick" in protocol:
        spacing[2] *= rng.uniform(1.5, 2.0)
    turn = rotation(rng.uniform(-12.0, 12.0, 3)) if "oblique" in protocol else np.eye(3)
    order = rng.permutation(3)
    signs = rng.choice([-1.0, 1.0], 3)
    stored = (turn * spacing * signs)[:, order]
    sizes = np.rint(FIELD_MM / spacing[order]).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = stored
    affine[:3, 3] = rng.uniform(-3.0, 3.0, 3) - stored @ ((sizes - 1) / 2.0)
    return (int(sizes[0]), int(sizes[1]), int(sizes[2])), affine


def _bias(rng: np.random.Generator, points_mm: Array) -> Array:
    """A smooth factor around 1 that changes along a line and a slow wave."""
    direction = rng.normal(size=(2, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    line, wave = np.moveaxis(points_mm @ direction.T, -1, 0) / (FIELD_MM / 2.0)
    return 1.0 + BIAS * 0.5 * (line.clip(-1.5, 1.5) + np.sin(2.0 * wave + rng.uniform(0.0, 2.0 * np.pi)))
