"""Several numbers a voxel on the grid of an image, in one 4-D NIfTI file that is written piece by piece."""

from __future__ import annotations

import gzip
import json
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import nibabel as nib
import numpy as np

from hilum.formats import nifti
from hilum.formats.atomic import writing_whole
from hilum.formats.reading import format_of, read_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from hilum.case import ImageRef
    from hilum.formats.base import Array
    from hilum.volume import Grid

GZIP_LEVEL = 1
"""Probabilities hardly become smaller at higher levels, which take several times as long."""
LONGEST_SIDE = 2**15 - 1
"""What the 16-bit sizes of NIfTI-1 hold; NIfTI-2 has 64 bits."""
COMMENT = 6
"""The code of an extension of the header that holds text."""
LENGTH_UNIT = 7
"""The bits of xyzt_units that name the unit of length; the others name that of the fourth axis."""


@dataclass(frozen=True)
class Channels:
    """What the numbers of each voxel are: a name each, how they are stored, and the step from one to the next."""

    names: Sequence[str]
    dtype: np.dtype[Any]
    step: float = 1.0
    """A stored number times this is the number that is meant."""


def write_channels(pieces: Iterable[Array], channels: Channels, *, like: ImageRef, out: Path) -> None:
    """Write numbers (I, J, K, C) to `out` on the grid of the image `like`; the file appears only when complete.

    `pieces` are the stored numbers (I, J, k) of slabs along K, channel after channel. NIfTI: affine, sform, qform,
    their codes, voxel sizes, units and byte order of `like` to the last bit. What else lies in millimetres: its affine.
    Pictures: no place and no unit. The names stand in a comment of the header, as JSON. The same input gives the same
    bytes.
    """
    header = _header(like, channels)
    comment = _comment(json.dumps({"channels": list(channels.names)}, ensure_ascii=False), header.endianness)
    header.structarr["vox_offset"] = type(header).single_vox_offset + len(comment)
    stored = header.get_data_dtype()
    with _writing(out) as stream:
        stream.write(header.binaryblock + b"\1\0\0\0" + comment)
        for piece in pieces:
            stream.write(piece.astype(stored, copy=False).tobytes(order="F"))


@contextmanager
def _writing(out: Path) -> Iterator[BinaryIO]:
    """A stream into the file, compressed where its name says so."""
    with writing_whole(out) as stream:
        if not out.name.endswith(".gz"):
            yield stream
            return
        with gzip.GzipFile("", "wb", GZIP_LEVEL, stream, mtime=0) as packed:
            yield cast("BinaryIO", packed)


def _header(like: ImageRef, channels: Channels) -> Any:
    """The header of the file, but for where the voxels begin."""
    grid = read_header(like).grid
    shape = (*grid.shape, len(channels.names))
    if format_of(like.path) is nifti.FORMAT:
        header = nifti.header_like(like.path, shape, channels.dtype)
        header.structarr["xyzt_units"] = int(header["xyzt_units"]) & LENGTH_UNIT  # the fourth axis is not time
        header.structarr["toffset"] = 0.0
    else:
        header = _placed(grid, shape, channels.dtype)
    sizes = header.structarr["pixdim"]
    sizes[3:5] = sizes[3] or 1.0, 1.0  # a flat image may leave the third away
    header.structarr["scl_slope"] = channels.step
    header.structarr["scl_inter"] = 0.0
    return header


def _placed(grid: Grid, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """The header of voxels on a grid: sform and, where the axes are at right angles, qform; neither for a picture."""
    header: Any = nib.Nifti1Header() if max(shape) <= LONGEST_SIDE else nib.Nifti2Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    if grid.unit == "mm":
        header.set_sform(grid.affine, code=1)
        header.set_qform(grid.affine, code=nifti.qform_code(grid.affine))
        header.set_xyzt_units("mm")
    header.structarr["magic"] = type(header).single_magic
    return header


def _comment(text: str, order: str) -> bytes:
    """An extension of the header that holds text: its length, its code, and the text, in all a multiple of 16 bytes."""
    content = text.encode()
    length = -(-(8 + len(content)) // 16) * 16
    return struct.pack(f"{order}ii", length, COMMENT) + content.ljust(length - 8, b"\0")
