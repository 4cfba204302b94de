"""A lone array in a .npy file: (H, W[, 3]) is a picture, (D, H, W[, 3]) a volume, in pixels."""

from __future__ import annotations

import io
import tokenize
from typing import TYPE_CHECKING, Any

import numpy as np

from hilum.errors import DataError
from hilum.formats.atomic import write_whole
from hilum.formats.base import Format, Header, Opened, place, reason, smallest_type
from hilum.formats.npz import COLOURS

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from hilum.case import ImageRef
    from hilum.formats.base import Array

BROKEN = (OSError, EOFError, ValueError, SyntaxError, tokenize.TokenError)
"""What numpy raises for files that are truncated, empty, pickled or something else than they claim."""


def open_array(ref: ImageRef) -> Opened:
    """An array with its header read; a last axis of three holds colours, as in an .npz file.

    Raises DataError for a broken file and for shapes or types that do not hold an image.
    """
    array = _mapped(ref.path)
    sizes, channels = _layout(ref.path, array)
    grid = place(ref.path, shape=(*sizes, 1)[:3], affine=np.eye(4), unit="pixel")
    header = Header(grid, channels, stored=array.dtype.name)
    return Opened(header, lambda: np.moveaxis(_mapped(ref.path).reshape(*grid.shape, channels), -1, 0))


def write_mask(values: npt.NDArray[np.integer], like: Path, out: Path) -> None:
    """Write label values (I, J, K) as an array of the shape of `like`, without its colours, in the smallest type.

    Raises DataError where the sizes differ.
    """
    sizes = _layout(like, _mapped(like))[0]
    if values.shape != (*sizes, 1)[:3]:
        raise DataError(f"{out}: mask of shape {values.shape} does not fit {like} of shape {sizes}")
    stream = io.BytesIO()
    np.save(stream, values.reshape(sizes).astype(smallest_type(values, (np.uint8, np.int16, np.int32))))
    write_whole(out, stream.getvalue())


def _mapped(path: Path) -> Any:
    """The array, its values unread."""
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except BROKEN as error:
        raise DataError(f"{path}: not a readable .npy file ({reason(error)})") from error


def _layout(path: Path, array: Array) -> tuple[tuple[int, ...], int]:
    """Sizes of the two or three axes of space, and the number of channels."""
    coloured = array.ndim > 2 and array.shape[-1] == COLOURS
    sizes = array.shape[:-1] if coloured else array.shape
    if not 2 <= len(sizes) <= 3 or array.dtype.kind not in "iufb":
        raise DataError(f"{path}: an array of shape {array.shape} and type {array.dtype} does not hold an image")
    return sizes, COLOURS if coloured else 1


FORMAT = Format((".npy",), open_array, write_mask, ".npy")
