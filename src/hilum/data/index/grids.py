"""Whether two grids place their voxels at the same points, said by what differs; and what is odd about one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hilum.case import ImageRef
from hilum.errors import Finding
from hilum.interpolation import ALIGNED_TOLERANCE_VOXELS
from hilum.volume import Grid

SKEW_WARNING = 1e-3
SKEW_ERROR = 0.6
"""Cosine between two axes that should stand at right angles: what rounding cannot give, and what no scanner does
(a gantry tilts by at most 30 degrees, a cosine of 0.5)."""

LARGEST_SPACING_MM = 100.0
"""Voxels longer than this are a wrong unit: no scanner makes them."""

TOLERANCE = f"within {ALIGNED_TOLERANCE_VOXELS:g} voxel"


def differs(ref: ImageRef, grid: Grid, *, like: ImageRef, like_grid: Grid, case: str = "") -> Finding | None:
    """Why the voxels of `ref` do not lie where those of `like` do, or None where they do (tolerance: 0.001 voxel).

    Tells apart shape, unit, orientation, spacing, direction and origin, in this order.
    """
    if grid.matches(like_grid):
        return None
    kind, received, expected, fix = _difference(grid, like_grid)
    return Finding(
        "error",
        kind,
        case,
        str(ref),
        received=received,
        expected=f"{expected} as {like.path.name} has it ({TOLERANCE})",
        fix=fix,
    )


def odd(ref: ImageRef, grid: Grid, *, case: str = "") -> Iterator[Finding]:
    """What is strange about one grid: axes not at right angles, voxels too long to be true."""
    if grid.unit == "pixel":
        return
    columns = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    cosine = float(np.abs(columns.T @ columns - np.eye(3)).max())
    if cosine > SKEW_WARNING:
        yield Finding(
            "error" if cosine > SKEW_ERROR else "warning",
            "axes not at right angles",
            case,
            str(ref),
            received=f"{np.degrees(np.arccos(min(cosine, 1.0))):.2f} degrees between two axes",
            expected="90",
            fix="a tilted gantry does that; resample onto a grid with axes at right angles, or distances are wrong",
        )
    long = [step for size, step in zip(grid.shape, grid.spacing, strict=True) if size > 1 and step > LARGEST_SPACING_MM]
    if long:
        yield Finding(
            "error",
            "impossible spacing",
            case,
            str(ref),
            received=f"{max(long):g} mm between voxels",
            expected=f"at most {LARGEST_SPACING_MM:g}",
            fix="correct the voxel size or the unit of length in the header",
        )


def _difference(grid: Grid, like: Grid) -> tuple[str, str, str, str]:
    """Kind, what was received, what was expected, and what to do."""
    onto = "resample it onto the grid of that file"
    if grid.shape != like.shape:
        transposed = sorted(grid.shape) == sorted(like.shape)
        order = "the axes seem to be in another order: transpose the array, or write it anew with the other's header"
        return "shape differs", f"{grid.shape} voxels", f"{like.shape}", order if transposed else onto
    if grid.unit != like.unit:
        return "unit differs", f"lengths in {grid.unit}", like.unit, "store both in a format that knows millimetres"
    if grid.orientation != like.orientation:
        return "orientation differs", "".join(grid.orientation), "".join(like.orientation), onto
    stretch = np.abs(np.divide(grid.spacing, like.spacing) - 1) * grid.shape
    if stretch.max() >= ALIGNED_TOLERANCE_VOXELS:
        return "spacing differs", f"{_numbers(grid.spacing)} {grid.unit}", _numbers(like.spacing), onto
    turn = np.linalg.norm(grid.affine[:3, :3] / grid.spacing - like.affine[:3, :3] / like.spacing, axis=0)
    if (turn * grid.shape).max() >= ALIGNED_TOLERANCE_VOXELS:
        angle = np.degrees(2 * np.arcsin(min(1.0, turn.max() / 2)))
        return "direction differs", f"axes turned by {angle:.3g} degrees", "the directions", onto
    shift = np.linalg.norm(np.linalg.solve(like.affine[:3, :3], grid.affine[:3, 3] - like.affine[:3, 3]))
    fix = "correct the origin in the header where both show the same voxels, else resample one onto the other"
    origins = _numbers(grid.affine[:3, 3]), _numbers(like.affine[:3, 3])
    return "origin differs", f"{origins[0]} {grid.unit}, {shift:.3g} voxels off", origins[1], fix


def _numbers(values: object) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in np.asarray(values, dtype=float).tolist()) + ")"
