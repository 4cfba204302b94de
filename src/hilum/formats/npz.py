"""Arrays of many small images in one .npz file: each row of an array is an image or a volume."""

from __future__ import annotations

import zipfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hilum.errors import DataError, nearest
from hilum.formats.base import Format, Header, Opened, place, reason

if TYPE_CHECKING:
    from hilum.case import ImageRef
    from hilum.formats.base import Array

BROKEN = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)
"""What numpy raises for files that are truncated, empty, pickled or something else than they claim."""

COLOURS = 3
"""A last axis of this length holds colours; any other belongs to the space."""


def open_row(ref: ImageRef) -> Opened:
    """Row `ref.index` of the array `ref.key`: (N, H, W[, 3]) are pictures, (N, D, H, W[, 3]) volumes, in pixels.

    The array is read once a process and kept. Raises DataError for a broken file, an unknown key or a missing row.
    """
    if ref.key is None or ref.index is None:
        raise DataError(
            f"{ref.path}: an .npz file holds several arrays, name one and a row of it;"
            f" there are {', '.join(array_names(ref.path))}"
        )
    array = load_array(ref.path, ref.key)
    if not 0 <= ref.index < len(array):
        raise DataError(f"{ref.path}: row {ref.index} of '{ref.key}' was asked for, it has rows 0 to {len(array) - 1}")
    coloured = array.ndim > 3 and array.shape[-1] == COLOURS
    sizes = array.shape[1:-1] if coloured else array.shape[1:]
    if not 2 <= len(sizes) <= 3 or array.dtype.kind not in "iufb":
        raise DataError(f"{ref.path}: '{ref.key}' of shape {array.shape} and type {array.dtype} does not hold images")
    grid = place(ref.path, shape=(*sizes, 1)[:3], affine=np.eye(4), unit="pixel")
    row = array[ref.index].reshape(*grid.shape, COLOURS if coloured else 1)
    return Opened(Header(grid, row.shape[-1], stored=array.dtype.name), lambda: np.moveaxis(row, -1, 0))


def array_names(path: Path) -> tuple[str, ...]:
    """Names of the arrays in the file. Raises DataError where it cannot be read."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return tuple(arrays.files)
    except (*BROKEN, AttributeError, TypeError) as error:  # a bare .npy loads as an array, which is no context
        raise DataError(f"{path}: not a readable .npz file ({reason(error)})") from error


def load_array(path: Path, key: str) -> Array:
    """One whole array, read-only, kept for the next call. Raises DataError for a broken file or an unknown name."""
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path}: {reason(error)}") from error
    return _cached(path, key, (status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=8)
def _cached(path: Path, key: str, version: tuple[int, int]) -> Any:
    """`version` tells a file that was replaced from the one that was read."""
    names = array_names(path)
    if key not in names:
        close = nearest(key, names)
        hint = f"; did you mean '{close}'?" if close else ""
        raise DataError(f"{path}: no array '{key}' among {', '.join(names)}{hint}")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            array = arrays[key]
    except BROKEN as error:
        raise DataError(f"{path}: array '{key}' cannot be read ({reason(error)})") from error
    array.flags.writeable = False
    return array


FORMAT = Format((".npz",), open_row, alone=False)
