"""Where voxels lie in the patient: grids, volumes on them, and resampling from one grid onto another."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.orientations import aff2axcodes, inv_ornt_aff, io_orientation

from hilum.errors import DataError
from hilum.interpolation import ALIGNED_TOLERANCE_VOXELS, Mode, Outside, sample_aligned, sample_axis, sample_oblique

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from torch import Tensor

    Affine = npt.NDArray[np.float64]

Unit = Literal["mm", "pixel"]


@dataclass(frozen=True, eq=False)
class Grid:
    """Positions of a volume's voxel centres: world = affine @ (i, j, k, 1), in RAS+ millimetres (or pixels).

    Two grids are equal when shape, unit and every number of the affine are equal. Raises DataError for a
    shape or affine that cannot place voxels.
    """

    shape: tuple[int, int, int]
    affine: Affine
    unit: Unit = "mm"

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        shape = tuple(int(size) for size in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise DataError(f"a grid needs three sizes of at least 1, received shape {shape}")
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise DataError(f"a grid needs a finite 4 x 4 affine, received {affine.tolist()}")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-12:
            raise DataError(f"the affine maps several voxels to one point (determinant 0): {affine.tolist()}")
        affine.flags.writeable = False
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        return (self.shape, self.unit) == (other.shape, other.unit) and np.array_equal(self.affine, other.affine)

    def __hash__(self) -> int:
        return hash((self.shape, self.unit, self.affine.tobytes()))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along i, j and k, in the grid's unit."""
        i, j, k = voxel_sizes(self.affine).tolist()
        return i, j, k

    @property
    def extent(self) -> tuple[float, float, float]:
        """Length of the field of view along i, j and k, from outer edge to outer edge, in the grid's unit."""
        i, j, k = (size * step for size, step in zip(self.shape, self.spacing, strict=True))
        return i, j, k

    @property
    def orientation(self) -> tuple[str, str, str]:
        """Letter of the anatomical direction that each axis points to, nearest first: ("R", "A", "S")."""
        i, j, k = aff2axcodes(self.affine)
        return i, j, k

    def matches(self, other: Grid) -> bool:
        """Whether both grids place all voxels at the same points, up to the rounding of file headers."""
        if (self.shape, self.unit) != (other.shape, other.unit):
            return False
        drift = np.abs(_index_map(self, other) - np.eye(4))[:3]
        return bool((drift @ (*self.shape, 1) < ALIGNED_TOLERANCE_VOXELS).all())

    def canonical(self) -> Grid:
        """The same voxels with axes permuted and flipped so that they point right, anterior and superior."""
        orientation = _orientation(self.affine[:3, :3].tobytes())
        shape = [0, 0, 0]
        for source_axis, axis in enumerate(orientation[:, 0].astype(int)):
            shape[axis] = self.shape[source_axis]
        return Grid(_triple(shape), self.affine @ inv_ornt_aff(orientation, self.shape), self.unit)

    def respaced(self, spacing: Sequence[float | None]) -> Grid:
        """The same field of view in voxels of `spacing`, sharing the outer corner of the first voxel.

        None leaves an axis as it is. Sizes are rounded to whole voxels, at least 1.
        """
        if len(spacing) != 3 or any(step is not None and not step > 0 for step in spacing):
            raise DataError(f"a spacing needs three positive numbers, received {tuple(spacing)}")
        scale = [1.0 if new is None else new / old for new, old in zip(spacing, self.spacing, strict=True)]
        shape = [max(1, round(size / factor)) for size, factor in zip(self.shape, scale, strict=True)]
        return self._scaled(scale, shape)

    def resized(self, shape: Sequence[int]) -> Grid:
        """The same field of view, corner to corner, in `shape` voxels."""
        return self._scaled([old / new for old, new in zip(self.shape, shape, strict=True)], shape)

    def cropped(self, start: Sequence[int], stop: Sequence[int]) -> Grid:
        """The voxels from `start` up to but without `stop`, which may lie outside this grid (padding)."""
        affine = self.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ np.asarray(start)
        return Grid(_triple([last - first for first, last in zip(start, stop, strict=True)]), affine, self.unit)

    def _scaled(self, scale: Sequence[float], shape: Sequence[int]) -> Grid:
        factor = np.asarray(scale)
        affine = self.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ ((factor - 1) / 2)  # the corner at index -0.5 stays where it is
        affine[:3, :3] *= factor
        return Grid(_triple(shape), affine, self.unit)


@dataclass(frozen=True)
class Volume:
    """Values (C, I, J, K) on a grid of (I, J, K) voxels; a two-dimensional image has K = 1."""

    tensor: Tensor
    grid: Grid

    def __post_init__(self) -> None:
        if self.tensor.ndim != 4 or tuple(self.tensor.shape[1:]) != self.grid.shape:
            raise DataError(
                f"values of shape {tuple(self.tensor.shape)} do not fit a grid of {self.grid.shape};"
                " expected (channels, *grid)"
            )


def resample(
    volume: Volume,
    grid: Grid,
    mode: Mode = "linear",
    *,
    antialias: bool = True,
    outside: Outside = "border",
) -> Volume:
    """The values of `volume` at the voxel centres of `grid`.

    Linear gives floating point; nearest keeps the dtype. Where the grids differ only by permuting, flipping,
    cropping or padding, values are copied exactly (and may share memory with `volume`). `antialias` smooths
    before linear sampling along axes that become coarser: with f the ratio of spacings, a Gaussian of
    sigma = sqrt((f^2 - 1) / (8 ln 2)) voxels widens the point spread of one voxel to that of the new one
    (Cardoso et al. 2015). A point outside the field of view gets the nearest voxel's value, or `outside`.
    Raises DataError when one grid is in mm and the other in pixels.
    """
    if volume.grid.unit != grid.unit:
        raise DataError(f"cannot resample a volume in {volume.grid.unit} onto a grid in {grid.unit}: expected one unit")
    tensor = volume.tensor
    if mode == "linear" and not tensor.is_floating_point():
        tensor = tensor.float()
    if volume.grid == grid:
        return Volume(tensor, grid)
    index_map = _index_map(volume.grid, grid)
    sigmas = _sigmas(index_map) if mode == "linear" and antialias else [0.0] * 3
    axes = _aligned_axes(index_map, grid.shape)
    if axes is not None:
        tensor = tensor.permute(0, *(axis + 1 for axis in axes))
        index_map, sigmas = index_map[[*axes, 3]], [sigmas[axis] for axis in axes]
        return Volume(sample_aligned(tensor, grid.shape, index_map, sigmas, mode, outside), grid)
    for axis, sigma in enumerate(sigmas):
        tensor = sample_axis(tensor, axis + 1, np.arange(tensor.shape[axis + 1], dtype=np.float64), sigma)
    return Volume(sample_oblique(tensor, grid.shape, index_map, mode, outside), grid)


@functools.lru_cache(maxsize=256)
def _orientation(axes: bytes) -> npt.NDArray[np.float64]:
    """nibabel's orientation of an affine from the bytes of its 3 x 3 numbers, of which a cohort has few."""
    affine = np.eye(4)
    affine[:3, :3] = np.frombuffer(axes, dtype=np.float64).reshape(3, 3)
    return np.asarray(io_orientation(affine))


def _index_map(source: Grid, target: Grid) -> Affine:
    """The matrix that takes indices of `target` to (fractional) indices of `source`."""
    return np.asarray(np.linalg.solve(source.affine, target.affine), dtype=np.float64)


def _sigmas(index_map: Affine) -> list[float]:
    """Anti-aliasing sigma of each source axis, in source voxels; 0 where the target is not coarser."""
    ratios = np.linalg.norm(index_map[:3, :3], axis=1)
    return [math.sqrt(max(0.0, float(ratio) ** 2 - 1) / (8 * math.log(2))) for ratio in ratios]


def _aligned_axes(index_map: Affine, shape: tuple[int, int, int]) -> tuple[int, int, int] | None:
    """The source axis that each target axis runs along, or None when the grids are oblique to each other."""
    travel = np.abs(index_map[:3, :3]) * (np.asarray(shape) - 1)  # source voxels crossed, by (source, target) axis
    i, j, k = _orientation(index_map[:3, :3].tobytes())[:, 0].astype(int).tolist()
    travel[[i, j, k], [0, 1, 2]] = 0
    return (i, j, k) if (travel.sum(axis=1) < ALIGNED_TOLERANCE_VOXELS).all() else None


def _triple(sizes: Sequence[int]) -> tuple[int, int, int]:
    i, j, k = (int(size) for size in sizes)
    return i, j, k
