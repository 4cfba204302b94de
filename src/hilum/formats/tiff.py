"""TIFF pictures and stacks (.tif, .tiff): rows run along I, columns along J, pages along K; lengths are in pixels."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from hilum.errors import DataError
from hilum.formats.atomic import write_whole
from hilum.formats.base import Format, Header, Opened, chosen_frame, inverted, place, reason, smallest_type
from hilum.formats.png import ORIENTATION, drop_opaque, one_value, orientation_fact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from hilum.case import ImageRef
    from hilum.formats.base import Array

BROKEN = (OSError, EOFError, ValueError, KeyError, IndexError, TypeError, RuntimeError, struct.error)
"""What tifffile and its codecs raise for files that are truncated, empty or something else than they claim."""

FRAMES, CHANNELS, SAMPLES, ROWS, COLUMNS, PAGES = "T", "C", "S", "Y", "X", "ZIQ"
"""Letters that tifffile gives to axes: times, channels, samples of a pixel, rows, columns; pages have several."""

PALETTE, ALPHA = 3, (1, 2)
"""Codes of TIFF: pixels are entries of a colour table; a sample is transparency."""

WHITE_IS_ZERO = 0
READ = {WHITE_IS_ZERO: "MINISWHITE", 1: "MINISBLACK", 2: "RGB", PALETTE: "PALETTE", 6: "YCBCR"}
"""Colour models by their code. YCbCr is read from JPEG only, whose decoder turns it into RGB."""

JPEG_COMPRESSIONS = (6, 7)


def open_tiff(ref: ImageRef) -> Opened:
    """A picture, or a stack of pages of one size, with its header read; values are as they stand in the file.

    Where white is 0, images are turned round, so that larger is brighter; labels are not. Raises DataError for a broken
    file, pages of several sizes, colour models other than greys and RGB, and transparency that is in use.
    """
    with _file(ref.path) as file:
        series, page = _series(ref.path, file), file.pages[0]
        axes, shape, dtype = series.axes, series.shape, series.dtype
        _check_colours(ref.path, page)
        palette = page.colormap if int(page.photometric) == PALETTE else None
        alpha = any(int(code) in ALPHA for code in page.extrasamples)
        white_is_zero, bits = int(page.photometric) == WHITE_IS_ZERO, page.bitspersample
        facts = _facts(page)
    sizes = {letter: int(size) for letter, size in zip(axes, shape, strict=True)}
    pages = [letter for letter in sizes if letter in PAGES]
    odd = set(sizes) - {FRAMES, CHANNELS, SAMPLES, ROWS, COLUMNS, *PAGES}
    if dtype.kind not in "iufb" or len(pages) > 1 or odd or not {ROWS, COLUMNS} <= set(sizes):
        raise DataError(f"{ref.path}: axes {axes} of sizes {shape} and type {dtype} are no picture and no stack")
    order = [FRAMES, CHANNELS, SAMPLES, ROWS, COLUMNS, *pages]
    frames, channels = sizes.get(FRAMES, 1), sizes.get(CHANNELS, 1) * sizes.get(SAMPLES, 1) - alpha
    channels = 3 if palette is not None else channels
    if frames > 1 and channels > 1:
        raise DataError(f"{ref.path}: {frames} frames of {channels} channels are neither channels nor a series")
    grid_shape = (sizes[ROWS], sizes[COLUMNS], sizes[pages[0]] if pages else 1)
    grid = place(ref.path, shape=grid_shape, affine=np.eye(4), unit="pixel")

    def stored() -> Array:
        array = np.moveaxis(_values(ref.path), [axes.index(x) for x in order if x in axes], range(len(axes)))
        array = array.reshape(-1, *grid.shape)
        array = drop_opaque(ref.path, array) if alpha else array
        return array if ref.index is None or frames == 1 else array[ref.index : ref.index + 1]

    def voxels() -> Array:
        if palette is not None:
            return (palette[:, stored()[0]] >> 8).astype(np.uint8)
        return inverted(stored(), bits) if white_is_zero else stored()

    header = Header(grid, channels, chosen_frame(ref, frames), dtype.name, facts)
    return Opened(header, voxels, lambda: one_value(ref.path, stored()))


def write_labels(values: npt.NDArray[np.integer], out: Path) -> None:
    """Write label values (I, J, K) as K pages of greys, 8 bits deep where they fit, else 16 or 32; compressed.

    Raises DataError for negative values.
    """
    import tifffile

    pages = np.moveaxis(values, -1, 0).astype(smallest_type(values, (np.uint8, np.uint16, np.uint32)))
    stream = io.BytesIO()
    tifffile.imwrite(stream, pages, photometric="minisblack", compression="zlib", metadata=None, software="hilum")
    write_whole(out, stream.getvalue())


def _file(path: Path) -> Any:
    import tifffile

    try:
        return tifffile.TiffFile(path)
    except BROKEN as error:
        raise DataError(f"{path}: not a readable TIFF file ({reason(error)})") from error


def _series(path: Path, file: Any) -> Any:
    """The one image of the file. Raises DataError where there are several of different sizes or types."""
    try:
        found = file.series
    except BROKEN as error:
        raise DataError(f"{path}: not a readable TIFF file ({reason(error)})") from error
    if len(found) != 1:
        sizes = ", ".join(f"{series.shape} {series.dtype}" for series in found[:4])
        raise DataError(f"{path}: holds {len(found)} images of different sizes or types ({sizes}), expected one")
    return found[0]


def _check_colours(path: Path, page: Any) -> None:
    code = int(page.photometric)
    if code not in READ or (READ[code] == "YCBCR" and int(page.compression) not in JPEG_COMPRESSIONS):
        name = getattr(page.photometric, "name", code)
        raise DataError(f"{path}: colour model {name}, expected greys or RGB: convert the file first")
    if code == WHITE_IS_ZERO and page.dtype is not None and page.dtype.kind == "f":
        raise DataError(f"{path}: white is 0, and floating point has no highest value for black: invert the file first")


def _facts(page: Any) -> Mapping[str, str]:
    """photometric (how shades are meant), bits; resolution as the file has it, which often is the printer's; and
    orientation_tag where the picture is meant to be turned.
    """
    facts = {"photometric": READ[int(page.photometric)], "bits": str(page.bitspersample)}
    if "XResolution" in page.tags:
        facts["resolution"] = "/".join(str(number) for number in page.tags["XResolution"].value)
    return {**facts, **orientation_fact(page.tags.valueof(ORIENTATION))}


def _values(path: Path) -> Any:
    with _file(path) as file:
        try:
            return file.series[0].asarray()
        except BROKEN as error:
            raise DataError(f"{path}: pixels cannot be read ({reason(error)})") from error


FORMAT = Format((".tif", ".tiff"), open_tiff, mask_by_grid=True)
