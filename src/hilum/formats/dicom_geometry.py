"""The grid that the planes of a DICOM series lie on: sorted along their normal, evenly spaced, none missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hilum.errors import DataError
from hilum.formats.base import place

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from hilum.formats.dicom_headers import Instance, Plane
    from hilum.volume import Grid

    Numbers = npt.NDArray[np.float64]

SAME_DIRECTION = 1e-3
"""Direction cosines of one series may differ by this much (0.06 degrees)."""

SAME_SPACING = 1e-3
"""Pixel spacings of one series may differ by this share."""

SAME_POSITION_MM = 1e-3
"""Two planes closer than this lie on each other."""

EVEN_STEPS = 0.1
"""A plane may lie beside its place among evenly spaced ones by this share of their distance."""

MISSING_STEPS = 1.5
"""Planes farther apart than the header says by more than this have lost those between them."""

STRAIGHT_DEGREES = 0.1
"""Up to here the planes count as stacked along their normal."""


@dataclass(frozen=True)
class Frame:
    """One plane of one file."""

    instance: Instance
    number: int
    plane: Plane

    def __str__(self) -> str:
        frame = f" frame {self.number}" if len(self.instance.planes) > 1 else ""
        return f"{self.instance.path.name}{frame}"


@dataclass(frozen=True)
class Stack:
    """Planes in the order of K, the grid (columns, rows, planes) that they make, and its tilt.

    `tilt_degrees` is the angle between the planes' normal and the line along which they are stacked (the gantry of a CT
    scanner may be tilted); the affine holds the shear. `gap` is what makes it likely that every second plane or more is
    missing, in words.
    """

    frames: tuple[Frame, ...]
    grid: Grid
    tilt_degrees: float
    gap: str = ""


def stacked(path: Path, frames: Sequence[Frame]) -> Stack:
    """The volume that planes make, wherever the files say they lie, in whatever order they come.

    Raises DataError where planes differ in direction or spacing, lie on each other, or leave a gap.
    """
    first = frames[0].plane
    placed = [frame for frame in frames if frame.plane.position and frame.plane.directions and frame.plane.spacing]
    if len(placed) < len(frames):
        if len(frames) == 1:
            return Stack(tuple(frames), _alone(path, frames[0]), 0.0)
        frame = next(frame for frame in frames if frame not in placed)
        raise DataError(
            f"{path}: {frame} does not say where it lies (position, orientation or pixel spacing is missing):"
            f" {len(frames)} such images are no volume; name single files instead"
        )
    _check_alike(path, frames)
    directions = np.reshape(np.asarray(first.directions), (2, 3))
    normal = np.cross(directions[0], directions[1])
    normal /= np.linalg.norm(normal) or 1.0
    positions = np.array([frame.plane.position for frame in frames])
    order = np.argsort(positions @ normal, kind="stable")
    frames, positions = [frames[index] for index in order], positions[order]
    step, gap = normal * first.step, ""
    if len(frames) > 1:
        _check_distinct(path, frames, positions @ normal)
        step = (positions[-1] - positions[0]) / (len(frames) - 1)
        _check_even(path, frames, positions, normal)
        gap = _gap(path, first, float(step @ normal))
    cosine = float(step @ normal / np.linalg.norm(step))
    tilt_degrees = float(np.degrees(np.arccos(min(1.0, cosine))))
    grid = _grid(path, frames, step=step, origin=positions[0])
    return Stack(tuple(frames), grid, tilt_degrees if tilt_degrees > STRAIGHT_DEGREES else 0.0, gap)


def _grid(path: Path, frames: Sequence[Frame], *, step: Numbers, origin: Numbers) -> Grid:
    """The grid of sorted planes: i runs along a row, j along a column, k from plane to plane; RAS+ millimetres."""
    first = frames[0]
    directions = np.reshape(np.asarray(first.plane.directions), (2, 3))
    between_rows, between_columns = first.plane.spacing or (1.0, 1.0)
    affine = np.eye(4)
    affine[:3, 0] = directions[0] * between_columns
    affine[:3, 1] = directions[1] * between_rows
    affine[:3, 2], affine[:3, 3] = step, origin
    shape = (first.instance.columns, first.instance.rows, len(frames))
    return place(path, shape=shape, affine=np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine, unit="mm")


def _alone(path: Path, frame: Frame) -> Grid:
    """The grid of a lone image without a place in the patient: in mm where its pixels have a size, else in pixels."""
    rows, columns = frame.instance.rows, frame.instance.columns
    if frame.plane.spacing is None:  # as pictures have it
        return place(path, shape=(rows, columns, 1), affine=np.eye(4), unit="pixel")
    between_rows, between_columns = frame.plane.spacing
    affine = np.diag([-between_columns, -between_rows, frame.plane.step, 1.0])
    return place(path, shape=(columns, rows, 1), affine=affine, unit="mm")


def _check_alike(path: Path, frames: Sequence[Frame]) -> None:
    first = frames[0]
    for frame in frames[1:]:
        for name, tolerance in (("directions", SAME_DIRECTION), ("spacing", 0.0)):
            ours, theirs = getattr(first.plane, name), getattr(frame.plane, name)
            if not np.allclose(ours, theirs, atol=tolerance, rtol=SAME_SPACING if tolerance == 0 else 0):
                raise DataError(
                    f"{path}: slices of one series differ in {name}: {first} has {ours}, {frame} has {theirs};"
                    " keep only those of one volume in the folder"
                )


def _check_distinct(path: Path, frames: Sequence[Frame], heights: Numbers) -> None:
    """Raise DataError where planes lie on each other; `heights` are sorted."""
    same = np.flatnonzero(np.diff(heights) < SAME_POSITION_MM)
    if len(same):
        raise DataError(
            f"{path}: {len(same)} slices lie at the position of another, such as {frames[same[0] + 1]} at that of"
            f" {frames[same[0]]} ({heights[same[0]]:.3f} mm along the normal): a copy, or a series of several times or"
            " echoes; keep one volume in the folder"
        )


def _check_even(path: Path, frames: Sequence[Frame], positions: Numbers, normal: Numbers) -> None:
    """Raise DataError where sorted planes are not evenly spaced on a line."""
    line = np.linspace(positions[0], positions[-1], len(frames))
    off = np.linalg.norm(positions - line, axis=1)
    step = np.linalg.norm(line[1] - line[0])
    if off.max() <= EVEN_STEPS * step:
        return
    gaps = np.diff(positions @ normal)
    usual, widest = float(np.median(gaps)), int(np.argmax(gaps))
    heights = positions @ normal
    if gaps[widest] > (1 + EVEN_STEPS) * usual:
        raise DataError(
            f"{path}: slices are missing or unevenly spaced: between {frames[widest]} at {heights[widest]:.3f} mm and"
            f" {frames[widest + 1]} at {heights[widest + 1]:.3f} mm (along the normal) there are {gaps[widest]:.3f} mm,"
            f" elsewhere {usual:.3f} mm; add what is missing, or resample to even slices first"
        )
    worst = int(np.argmax(off))
    raise DataError(
        f"{path}: slices do not lie on one line: {frames[worst]} lies {off[worst]:.3f} mm beside its place, with"
        f" {step:.3f} mm from slice to slice; resample to even slices first"
    )


def _gap(path: Path, plane: Plane, step_mm: float) -> str:
    """What speaks for planes missing between all others, in words; nothing where they follow each other as told.

    Raises DataError where the header says how far apart they should be. Their thickness alone proves nothing: gaps are
    common in MR.
    """
    if plane.between is not None:
        if step_mm > MISSING_STEPS * plane.between:
            raise DataError(
                f"{path}: missing slices: they lie {step_mm:.3f} mm apart, and SpacingBetweenSlices is"
                f" {plane.between:.3f} mm; add what is missing, or correct the tag where the slices are complete"
            )
        return ""
    times = step_mm / (plane.thickness or step_mm)
    if round(times) < 2 or abs(times - round(times)) > EVEN_STEPS:
        return ""
    return f"slices {step_mm:g} mm apart and {plane.thickness:g} mm thick"
