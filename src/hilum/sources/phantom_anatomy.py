"""The geometry of phantom patients: bodies, organs, look-alikes and lesions as functions of position in millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

BACKGROUND, ORGAN, LESION = 0, 1, 2
"""Label values of the masks."""

AIR, FAT, TISSUE, BRIGHT = 0.0, 0.3, 0.6, 1.0
"""Brightness of what is seen: muscle, vessels and other organs are TISSUE like the organ, bone and cysts BRIGHT like
lesions."""

EDGE_MM = 1.0
"""Half-width over which two structures blend, as they do in a voxel that both of them fill."""


@dataclass(frozen=True)
class Blob:
    """A rotated ellipsoid whose surface is pushed in and out by smooth waves.

    `axes_mm` are the half-lengths; `waves` (n, 3) the wave vectors in radians per half-length, with `phases` (n,), each
    of height `bump` as a share of the radius.
    """

    centre_mm: Array
    axes_mm: Array
    rotation: Array
    waves: Array
    phases: Array
    bump: float

    def depth(self, points_mm: Array) -> Array:
        """How far inside the surface each of the points (..., 3) lies, in about millimetres; negative outside."""
        own = (points_mm - self.centre_mm) @ (self.rotation / self.axes_mm)
        radius = np.sqrt(np.einsum("...i,...i->...", own, own))
        surface = np.ones_like(radius)
        near = np.abs(radius - 1.0) < len(self.phases) * self.bump + 4.0 * EDGE_MM / self.axes_mm.min()
        surface[near] += self.bump * np.sin(own[near] @ self.waves.T + self.phases).sum(-1)
        return (surface - radius) * float(self.axes_mm.min())


@dataclass(frozen=True)
class Anatomy:
    """One patient: everything that is seen, in the order in which it covers what came before, each with its brightness.

    `structures` come first (body, muscle, bone, other organs), then the `organ`, then the `lesions` inside it.
    """

    structures: tuple[tuple[Blob, float], ...]
    organ: Blob
    lesions: tuple[Blob, ...]

    def brightness(self, points_mm: Array) -> Array:
        """What a scanner without noise sees at the points (..., 3)."""
        seen = np.full(points_mm.shape[:-1], AIR)
        layers = (*self.structures, (self.organ, TISSUE), *((lesion, BRIGHT) for lesion in self.lesions))
        for blob, level in layers:
            share = 0.5 + 0.5 * np.tanh(blob.depth(points_mm) / EDGE_MM)
            seen += share * (level - seen)
        return seen

    def labels(self, points_mm: Array) -> npt.NDArray[np.uint8]:
        """The truth at the points (..., 3): BACKGROUND, ORGAN or LESION."""
        labels = np.where(self.organ.depth(points_mm) > 0, ORGAN, BACKGROUND).astype(np.uint8)
        for lesion in self.lesions:
            labels[lesion.depth(points_mm) > 0] = LESION
        return labels


def draw_anatomy(rng: np.random.Generator, *, diseased: bool) -> Anatomy:
    """A patient about 90 mm wide around the origin, in RAS+ millimetres; with one to three lesions if `diseased`.

    The organ lies on the patient's right. A larger organ of the same brightness lies on the left and holds cysts as
    bright as lesions; a muscle wall and vessels of the same brightness surround and touch the organ: only place and
    shape tell what is what.
    """
    body = _blob(rng, (0, 0, 0), (44, 38, 70), tilt_degrees=3, bump=0.01)
    cavity = _blob(rng, (0, 0, 0), (38, 32, 62), tilt_degrees=3, bump=0.01)
    spine = _blob(rng, (0, -25, 0), (6, 6, 70), tilt_degrees=3, bump=0.02)
    organ = _blob(rng, (-17, 5, 4), (14, 18, 19), tilt_degrees=18, bump=0.05, shift_mm=3)
    other = _blob(rng, (18, 2, -4), (16, 20, 23), tilt_degrees=18, bump=0.05, shift_mm=3)
    vessel = _blob(rng, (0, -8, 0), (4, 4, 60), tilt_degrees=6, bump=0.05, shift_mm=2)
    branch = _blob(rng, (-4, 10, -16), (26, 5, 5), tilt_degrees=10, bump=0.05, shift_mm=3)
    cysts = [_inside(rng, other) for _ in range(rng.integers(1, 4))]
    around = [(body, TISSUE), (cavity, FAT), (vessel, TISSUE), (branch, TISSUE), (other, TISSUE), (spine, BRIGHT)]
    return Anatomy(
        structures=(*around, *((cyst, BRIGHT) for cyst in cysts)),
        organ=organ,
        lesions=tuple(_inside(rng, organ) for _ in range(rng.integers(1, 4))) if diseased else (),
    )


def _blob(
    rng: np.random.Generator,
    centre_mm: tuple[float, float, float],
    axes_mm: tuple[float, float, float],
    *,
    tilt_degrees: float,
    bump: float,
    shift_mm: float = 1.0,
) -> Blob:
    """A blob near the given place, of nearly the given size."""
    return Blob(
        centre_mm=np.array(centre_mm) + rng.normal(0.0, shift_mm, 3).clip(-2 * shift_mm, 2 * shift_mm),
        axes_mm=np.array(axes_mm) * rng.uniform(0.9, 1.1, 3),
        rotation=rotation(rng.uniform(-tilt_degrees, tilt_degrees, 3)),
        waves=rng.normal(0.0, 2.2, (4, 3)),
        phases=rng.uniform(0.0, 2.0 * np.pi, 4),
        bump=bump,
    )


def _inside(rng: np.random.Generator, host: Blob) -> Blob:
    """A round blob, 5.5 to 8 mm in radius, around a point well within the host."""
    direction = rng.normal(size=3)
    place = direction / np.linalg.norm(direction) * rng.uniform(0.1, 0.5)
    centre = host.centre_mm + host.rotation @ (place * host.axes_mm)
    size = rng.uniform(5.5, 8.0)
    return _blob(rng, tuple(centre), (size, size, size), tilt_degrees=45, bump=0.03, shift_mm=0.0)


def rotation(degrees: npt.ArrayLike) -> Array:
    """The rotation (3, 3) by three angles in degrees about the axes i, j and k, in that order."""
    (ci, cj, ck), (si, sj, sk) = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    about_i = np.array([[1, 0, 0], [0, ci, -si], [0, si, ci]])
    about_j = np.array([[cj, 0, sj], [0, 1, 0], [-sj, 0, cj]])
    about_k = np.array([[ck, -sk, 0], [sk, ck, 0], [0, 0, 1]])
    return about_k @ about_j @ about_i
