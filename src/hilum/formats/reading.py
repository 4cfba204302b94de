"""Images and masks of any known format as volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hilum.errors import DataError, nearest
from hilum.formats import nifti, npz, png
from hilum.formats.base import described
from hilum.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from hilum.case import ImageRef
    from hilum.formats.base import Format, Header, Opened

FORMATS: tuple[Format, ...] = (nifti.FORMAT, png.FORMAT, npz.FORMAT)

ROUNDING = 1e-3
"""Masks stored as floats may miss a whole number by this much (0.99999997 has been met)."""


def read_header(ref: ImageRef) -> Header:
    """Grid, channels and frames of an image, its voxels unread. Raises DataError naming the file and what is wrong."""
    return _open(ref).header


def read(ref: ImageRef, *, frames_as_channels: bool = False) -> Volume:
    """An image as float32 (C, I, J, K) on its grid.

    Raises DataError naming the file: missing, broken, not finite, or a series (4-D) without `frames_as_channels`.
    """
    opened = _open(ref)
    header = opened.header
    if header.frames > 1 and not frames_as_channels:
        raise DataError(f"{ref}: holds {header.frames} frames (4-D), expected one volume: extract one")
    try:
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is refused below
            array = opened.voxels().astype(np.float32, order="C")
    except MemoryError as error:
        raise DataError(f"{ref}: an image of {header.grid.shape} voxels does not fit into memory") from error
    if not np.isfinite(array).all():
        count = int(array.size - np.isfinite(array).sum())
        raise DataError(f"{ref}: {count} of {array.size} voxels are not finite (NaN or infinite): replace them first")
    return Volume(torch.from_numpy(array), header.grid)


def read_image(refs: Sequence[ImageRef], *, frames_as_channels: bool = False) -> Volume:
    """Several images of one scan (its modalities) stacked as channels, float32 (C, I, J, K).

    Raises DataError where their grids differ, or as `read` does.
    """
    volumes = [read(ref, frames_as_channels=frames_as_channels) for ref in refs]
    first = volumes[0]
    for ref, volume in zip(refs[1:], volumes[1:], strict=True):
        if not first.grid.matches(volume.grid):
            raise DataError(
                f"{ref} and {refs[0]} lie on different grids: {described(volume.grid)} against {described(first.grid)};"
                " channels of one scan must share a grid: resample them first"
            )
    return first if len(volumes) == 1 else Volume(torch.cat([volume.tensor for volume in volumes]), first.grid)


def read_mask(ref: ImageRef) -> Volume:
    """Label values as int32 (1, I, J, K) on the mask's grid.

    Floats within ROUNDING of a whole number are rounded. Raises DataError for others, for several channels, and as
    `read` does.
    """
    opened = _open(ref)
    array = (opened.labels or opened.voxels)()
    if len(array) != 1:
        raise DataError(f"{ref}: a mask needs one value a voxel, received {len(array)}")
    whole = _rounded(ref, array) if array.dtype.kind == "f" else array
    limits = np.iinfo(np.int32)
    if whole.min() < limits.min or whole.max() > limits.max:
        raise DataError(f"{ref}: label values from {whole.min()} to {whole.max()} exceed 32 bits")
    return Volume(torch.from_numpy(whole.astype(np.int32, order="C")), opened.header.grid)


def _rounded(ref: ImageRef, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    whole = np.rint(array)
    with np.errstate(invalid="ignore"):
        off = ~(np.abs(whole - array) <= ROUNDING)  # NaN, also from infinity, counts as off
    if off.any():
        shown = ", ".join(f"{value:g}" for value in np.unique(array[off])[:5])
        raise DataError(f"{ref}: a mask needs whole numbers, received {shown} ({int(off.sum())} such voxels)")
    return whole


def files_of(ref: ImageRef) -> tuple[Path, ...]:
    """Every file that an image is read from: the file itself, and those that it or its folder stands for."""
    return format_of(ref.path).files(ref)


def format_of(path: Path) -> Format:
    """The format that a file's name stands for. Raises DataError for an unknown suffix."""
    name = path.name.lower()
    for option in FORMATS:
        if name.endswith(option.suffixes):
            return option
    known = ", ".join(suffix for option in FORMATS for suffix in option.suffixes)
    raise DataError(f"{path}: unknown kind of file; hilum reads {known}")


def stem(path: Path) -> str:
    """The file's name without the suffix of its format (`.nii.gz` is one). Raises DataError for an unknown one."""
    suffix = max((end for end in format_of(path).suffixes if path.name.lower().endswith(end)), key=len)
    return path.name[: -len(suffix)]


def is_image(path: Path) -> bool:
    """Whether the file's name is that of an image which stands alone (an .npz file needs a key and a row)."""
    return path.name.lower().endswith((*nifti.FORMAT.suffixes, *png.FORMAT.suffixes))


def _open(ref: ImageRef) -> Opened:
    opener = format_of(ref.path).open
    if ref.path.is_dir():
        raise DataError(f"{ref.path}: is a folder, expected a file")
    if not ref.path.is_file():
        siblings = [path.name for path in ref.path.parent.iterdir()] if ref.path.parent.is_dir() else []
        close = nearest(ref.path.name, siblings)
        raise DataError(f"{ref.path}: no such file" + (f"; did you mean '{close}'?" if close else ""))
    return opener(ref)
