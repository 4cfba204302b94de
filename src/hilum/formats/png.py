"""Pictures (.png, .jpg, .jpeg, .bmp): rows run along I, columns along J, K is 1, and lengths are in pixels."""

from __future__ import annotations

import contextlib
import io
import struct
from dataclasses import dataclass
from os import SEEK_CUR
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image

from hilum.errors import DataError
from hilum.formats.atomic import write_whole
from hilum.formats.base import Format, Header, Opened, place, reason, smallest_type

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from hilum.case import ImageRef
    from hilum.formats.base import Array

BROKEN = (OSError, EOFError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for files that are truncated, empty or something else than they claim."""

PLAIN = {"1": 1, "L": 1, "I;16": 1, "I;16B": 1, "I;16L": 1, "I": 1, "F": 1, "RGB": 3}
"""Channels of the modes whose pixels are values as they stand."""

PNG_HEAD = struct.Struct(">24sBB")
"""A PNG begins with its signature, its size, the bits of a sample and the type of its colours."""

GREYS, GREYS_WITH_ALPHA = 0, 4
"""Types of colours in a PNG."""

ORIENTATION, TURNED = 274, range(2, 9)
"""The tag by which a camera says how a picture is to be turned, and its values; 1 stands for not at all."""

PNG_SIGNATURE_BYTES, PNG_CHECK_BYTES = 8, 4
CHUNK = struct.Struct(">I4s")
"""A chunk of a PNG begins with its length and name, and ends with a check of 4 bytes."""

OTHERS = {"LA": "L", "RGBA": "RGB", "P": "RGB", "PA": "RGB"}
"""Modes that become a plain one: colour tables are looked up, opaque alpha is dropped."""


def open_picture(ref: ImageRef) -> Opened:
    """A picture with its header read: one channel for greys, three for colours.

    Raises DataError for a broken file, a colour model other than grey or RGB, and transparency that is in use.
    """
    look = _look(ref.path)
    mode = OTHERS.get(look.mode, look.mode)
    if mode not in PLAIN:
        raise DataError(f"{ref.path}: colour mode {mode}, expected greys or RGB: convert the file first")
    grid = place(ref.path, shape=(*look.size, 1), affine=np.eye(4), unit="pixel")
    header = Header(grid, PLAIN[mode], stored=_stored(look), facts=_facts(look))
    return Opened(header, lambda: _pixels(ref.path), lambda: _labels(ref.path))


def write_mask(values: npt.NDArray[np.integer], like: Path, out: Path) -> None:
    """Write label values (I, J, 1) as `write_labels` does; raises DataError where the size is not that of `like`."""
    height, width = _look(like).size
    if values.shape != (height, width, 1):
        raise DataError(f"{out}: mask of shape {values.shape} does not fit {like} of {height} rows and {width} columns")
    write_labels(values, out)


def write_labels(values: npt.NDArray[np.integer], out: Path) -> None:
    """Write label values (I, J, 1) as a grey PNG, 8 bits deep where they fit and else 16.

    Raises DataError where a value is negative or above 65535.
    """
    stream = io.BytesIO()
    pixels = values[:, :, 0].astype(smallest_type(values, (np.uint8, np.uint16)))
    Image.fromarray(pixels).save(stream, format="PNG")
    write_whole(out, stream.getvalue())


def drop_opaque(path: Path, array: Any) -> Array:
    """The channels (C, ...) without the last, which is how opaque a pixel is; raises DataError where that is in use."""
    full = np.iinfo(array.dtype).max if array.dtype.kind in "iu" else 1
    if not (array[-1] == full).all():
        raise DataError(f"{path}: uses transparency, which has no meaning as a measurement: flatten the file first")
    return array[:-1]


def one_value(path: Path, array: Array) -> Array:
    """The first of the channels (C, ...) of a mask; raises DataError where they differ."""
    if len(array) > 1 and not (array == array[:1]).all():
        raise DataError(f"{path}: a mask needs one value a pixel, received colours")
    return array[:1]


@dataclass(frozen=True)
class _Look:
    """What the header tells: Pillow's mode, (rows, columns), and a PNG's bits a sample and colour type (else None).

    `orientation` is what a camera says of it, 1 where it says nothing.
    """

    mode: str
    size: tuple[int, int]
    bits: int | None
    colour_type: int | None
    orientation: object

    @property
    def deep_colours(self) -> bool:
        """Whether Pillow would cut the pixels down from 16 bits to 8."""
        return self.bits == 16 and self.colour_type != GREYS


def _look(path: Path) -> _Look:
    """The header, pixels unread."""
    try:
        with Image.open(path) as picture, path.open("rb") as stream:
            head = stream.read(PNG_HEAD.size)
            bits, colour_type = PNG_HEAD.unpack(head)[1:] if picture.format == "PNG" else (None, None)
            mode = "LA" if (bits, colour_type) == (16, GREYS_WITH_ALPHA) else picture.mode
            return _Look(mode, (picture.height, picture.width), bits, colour_type, _orientation(picture, stream))
    except BROKEN as error:
        raise DataError(f"{path}: not a readable picture ({reason(error)})") from error


def _orientation(picture: Image.Image, stream: BinaryIO) -> object:
    """The camera's tag; 1 where there is none, or where what the camera noted is broken, which harms no pixel."""
    with contextlib.suppress(*BROKEN):
        exif = _png_exif(stream) if picture.format == "PNG" else picture.getexif()
        return exif.get(ORIENTATION, 1)
    return 1


def _png_exif(stream: BinaryIO) -> Image.Exif:
    """What a camera noted in a PNG, before its pixels or behind them (Pillow would decode these to get there)."""
    exif = Image.Exif()
    stream.seek(PNG_SIGNATURE_BYTES)
    while len(head := stream.read(CHUNK.size)) == CHUNK.size:
        length, name = CHUNK.unpack(head)
        if name == b"eXIf":
            exif.load(stream.read(length))
            break
        stream.seek(length + PNG_CHECK_BYTES, SEEK_CUR)
    return exif


def orientation_fact(tag: object) -> Mapping[str, str]:
    """The fact `orientation_tag` where a picture is meant to be turned or mirrored before it is shown."""
    return {"orientation_tag": str(int(tag))} if isinstance(tag, int) and tag in TURNED else {}


def _stored(look: _Look) -> str:
    deep = {"F": "float32", "I": "int32"}.get(look.mode, "uint16" if look.mode.startswith("I;") else "uint8")
    return "uint16" if look.deep_colours else deep


def _facts(look: _Look) -> Mapping[str, str]:
    """colour_mode; bits where they are told; orientation_tag where a camera says that the picture is to be turned."""
    facts = {"colour_mode": look.mode}
    if look.bits is not None:
        facts["bits"] = str(look.bits)
    return {**facts, **orientation_fact(look.orientation)}


def _load(path: Path) -> Any:
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except BROKEN as error:
        raise DataError(f"{path}: pixels cannot be read ({reason(error)})") from error


def _pixels(path: Path) -> Array:
    """Values (C, rows, columns, 1)."""
    look = _look(path)
    if look.deep_colours:
        array = _arranged(_decoded(path))
        return drop_opaque(path, array) if len(array) in (2, 4) else array
    picture = _load(path)
    if "A" in picture.mode:
        drop_opaque(path, np.asarray(picture.getchannel("A"))[None])
    array = _arranged(picture.convert(OTHERS[picture.mode]) if picture.mode in OTHERS else picture)
    if look.colour_type == GREYS and look.bits in (2, 4):  # Pillow spreads them over 0 to 255
        array = array // (255 // (2**look.bits - 1))
    return array


def _decoded(path: Path) -> Array:
    """Pixels (rows, columns, channels) of a PNG of 16 bits."""
    import imagecodecs

    try:
        return imagecodecs.png_decode(path.read_bytes())
    except (*BROKEN, RuntimeError) as error:
        raise DataError(f"{path}: pixels cannot be read ({reason(error)})") from error


def _labels(path: Path) -> Array:
    """Label values (1, rows, columns, 1): entries of a colour table by their number, greys as they stand."""
    if _look(path).mode == "P":
        return _arranged(_load(path))
    return one_value(path, _pixels(path))


def _arranged(picture: Any) -> Array:
    """Pixels of a picture or array (rows, columns[, C]) as (C, rows, columns, 1)."""
    array = np.asarray(picture)
    rows, columns = array.shape[:2]
    return np.moveaxis(array.reshape(rows, columns, -1), -1, 0)[..., None]


FORMAT = Format((".png", ".jpg", ".jpeg", ".bmp"), open_picture, write_mask, ".png")
