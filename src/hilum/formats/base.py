"""What every image format offers: a header that costs no voxels, and the voxels once they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.volume import Grid, Unit

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Header:
    """Where the voxels lie, how many channels each has, and how many frames (times, directions) follow each other.

    `stored` names the type of the values in the file. `facts` is what else the header tells, under names such as
    `modality`, `patient_id`, `manufacturer`, `scl_slope`, `forms_differ_mm`; each format names its own. Neither makes
    two headers differ.
    """

    grid: Grid
    channels: int
    frames: int = 1
    stored: str = field(default="", compare=False)
    facts: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Opened:
    """An image whose header is known and whose voxels (channels * frames, I, J, K) are read when called for.

    `labels` gives them as a mask means them, where a format keeps that apart (palette indices of a picture).
    """

    header: Header
    voxels: Callable[[], Array]
    labels: Callable[[], Array] | None = None


@dataclass(frozen=True)
class Format:
    """One file format: its suffixes, how it opens an image, and how masks of its images are written.

    `write_mask(values, like, out)` takes integers (I, J, K) and writes files that end in `mask_suffix`. Where there is
    none, `mask_by_grid` tells whether a mask may be written on the image's grid in the format that suits the grid.
    `files` names every file that an image is read from, where it is more than the one that is named. `alone` is False
    where a file's name is not enough to name an image.
    """

    suffixes: tuple[str, ...]
    open: Callable[[ImageRef], Opened]
    write_mask: Callable[[npt.NDArray[np.integer], Path, Path], None] | None = None
    mask_suffix: str | None = None
    mask_by_grid: bool = False
    files: Callable[[ImageRef], tuple[Path, ...]] = lambda ref: (ref.path,)
    alone: bool = True


def place(path: Path, *, shape: tuple[int, ...], affine: npt.ArrayLike, unit: Unit) -> Grid:
    """A grid; raises DataError naming the file where shape or affine cannot place voxels."""
    try:
        return Grid((shape[0], shape[1], shape[2]), np.asarray(affine, dtype=np.float64), unit)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def described(grid: Grid) -> str:
    """A grid in words, for messages about two that differ."""
    spacing = tuple(round(step, 4) for step in grid.spacing)
    return f"shape {grid.shape}, spacing {spacing}, affine {grid.affine.round(4).tolist()}"


def reason(error: Exception) -> str:
    """What a library said about a broken file, on one line, with the kind of error where it says nothing."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def smallest_type(values: npt.NDArray[np.integer], options: tuple[type[np.integer], ...]) -> type[np.integer]:
    """The first of the integer types that holds every value. Raises DataError where none does."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    for option in options:
        if np.iinfo(option).min <= low and high <= np.iinfo(option).max:
            return option
    held = np.iinfo(options[-1])
    raise DataError(f"label values from {low} to {high} do not fit this format, which holds {held.min} to {held.max}")


def inverted(array: Array, bits: int) -> Array:
    """Integers of so many bits (or booleans) turned round, for images in which low values are bright.

    Lowest plus highest possible value minus the value, in the same type.
    """
    if array.dtype.kind != "u":
        return np.invert(array)  # -1 - value
    return np.subtract(array.dtype.type(2**bits - 1), array)


def chosen_frame(ref: ImageRef, frames: int) -> int:
    """How many frames are left once `ref.index` has picked one. Raises DataError where there is no such frame."""
    if ref.index is None:
        return frames
    if not 0 <= ref.index < frames:
        raise DataError(f"{ref.path}: frame {ref.index} was asked for, the file has frames 0 to {frames - 1}")
    return 1
