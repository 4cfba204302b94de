"""Pictures (.png, .jpg, .jpeg, .bmp): rows run along I, columns along J, K is 1, and lengths are in pixels."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from hilum.errors import DataError
from hilum.formats.atomic import write_whole
from hilum.formats.base import Format, Header, Opened, place, reason, smallest_type

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from hilum.case import ImageRef
    from hilum.formats.base import Array

BROKEN = (OSError, EOFError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for files that are truncated, empty or something else than they claim."""

PLAIN = {"1": 1, "L": 1, "I;16": 1, "I;16B": 1, "I;16L": 1, "I": 1, "F": 1, "RGB": 3}
"""Channels of the modes whose pixels are values as they stand."""

OTHERS = {"LA": "L", "RGBA": "RGB", "P": "RGB", "PA": "RGB"}
"""Modes that become a plain one: colour tables are looked up, opaque alpha is dropped."""


def open_picture(ref: ImageRef) -> Opened:
    """A picture with its header read: one channel for greys, three for colours.

    Raises DataError for a broken file, a colour model other than grey or RGB, and transparency that is in use.
    """
    mode, (width, height) = _look(ref.path)
    mode = OTHERS.get(mode, mode)
    if mode not in PLAIN:
        raise DataError(f"{ref.path}: colour mode {mode}, expected greys or RGB: convert the file first")
    grid = place(ref.path, shape=(height, width, 1), affine=np.eye(4), unit="pixel")
    return Opened(Header(grid, PLAIN[mode]), lambda: _pixels(ref.path), lambda: _labels(ref.path))


def write_mask(values: npt.NDArray[np.integer], like: Path, out: Path) -> None:
    """Write label values (I, J, 1) as a grey PNG of the size of `like`, 8 bits deep where they fit and else 16.

    Raises DataError where the sizes differ or a value is negative or above 65535.
    """
    width, height = _look(like)[1]
    if values.shape != (height, width, 1):
        raise DataError(f"{out}: mask of shape {values.shape} does not fit {like} of {height} rows and {width} columns")
    stream = io.BytesIO()
    pixels = values[:, :, 0].astype(smallest_type(values, (np.uint8, np.uint16)))
    Image.fromarray(pixels).save(stream, format="PNG")
    write_whole(out, stream.getvalue())


def _look(path: Path) -> tuple[str, tuple[int, int]]:
    """Mode and (width, height), pixels unread."""
    try:
        with Image.open(path) as picture:
            return picture.mode, picture.size
    except BROKEN as error:
        raise DataError(f"{path}: not a readable picture ({reason(error)})") from error


def _load(path: Path) -> Any:
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except BROKEN as error:
        raise DataError(f"{path}: pixels cannot be read ({reason(error)})") from error


def _pixels(path: Path) -> Array:
    """Values (C, rows, columns, 1)."""
    picture = _load(path)
    if "A" in picture.mode and picture.getchannel("A").getextrema() != (255, 255):
        raise DataError(f"{path}: uses transparency, which has no meaning as a measurement: flatten the file first")
    return _arranged(picture.convert(OTHERS[picture.mode]) if picture.mode in OTHERS else picture)


def _labels(path: Path) -> Array:
    """Label values (1, rows, columns, 1): entries of a colour table by their number, greys as they stand."""
    picture = _load(path)
    array = _arranged(picture) if picture.mode == "P" else _pixels(path)
    if len(array) > 1 and not (array == array[:1]).all():
        raise DataError(f"{path}: a mask needs one value a pixel, received colours")
    return array[:1]


def _arranged(picture: Any) -> Array:
    array = np.asarray(picture)
    rows, columns = array.shape[:2]
    return np.moveaxis(array.reshape(rows, columns, -1), -1, 0)[..., None]


FORMAT = Format((".png", ".jpg", ".jpeg", ".bmp"), open_picture, write_mask, ".png")
