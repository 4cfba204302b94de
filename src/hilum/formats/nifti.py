"""NIfTI volumes (.nii, .nii.gz): headers without voxels, and masks that carry the header geometry of their image."""

from __future__ import annotations

import gzip
import logging
import math
import zlib
from typing import TYPE_CHECKING, Any, cast

import nibabel as nib
import numpy as np
from isal import igzip, isal_zlib
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling
from nibabel.wrapstruct import WrapStructError

from hilum.errors import DataError
from hilum.formats.atomic import write_whole
from hilum.formats.base import Format, Header, Opened, chosen_frame, place, reason, smallest_type

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from hilum.case import ImageRef
    from hilum.formats.base import Array

ISAL_ERROR = cast("type[Exception]", isal_zlib.error)
BROKEN = (OSError, EOFError, ValueError, zlib.error, ISAL_ERROR, HeaderDataError, WrapStructError)
"""What nibabel and gzip raise for files that are truncated, empty or something else than they claim."""

MILLIMETRES = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}
"""How long one unit of the header is. Headers that name no unit are millimetres by convention."""

LABEL_INTENT = 1002
"""NIFTI_INTENT_LABEL: each voxel holds the number of a label."""

GZIP_LEVEL = 4
"""Masks compress well at any level; higher ones only cost time. zlib gives the same bytes on every processor, which
isal does not promise: it reads, zlib writes."""

RIGHT_ANGLE = 1e-4
"""Axes whose cosine is above this are sheared: a qform, which is a rotation, cannot hold them."""

KINDS = {348: nib.Nifti1Header, 540: nib.Nifti2Header}
"""A NIfTI file begins with the length of its header."""

HEAD_BYTES = max(KINDS)
COMPRESSED_BYTES = 4096
"""How much of a compressed file is read at a time until the header is complete."""


def open_nifti(ref: ImageRef) -> Opened:
    """A NIfTI image with its header read. `ref.index` picks one frame of a four-dimensional one.

    The affine is the sform where its code is set, then the qform, then the voxel sizes alone, as nibabel has it.
    Raises DataError for a file that is no readable NIfTI image of real numbers.
    """
    info, mended = _header(ref.path)
    dtype = info.get_data_dtype()
    if dtype.kind not in "iuf":
        raise DataError(f"{ref.path}: voxels are {dtype}, expected real numbers")
    grid, channels, frames = _layout(ref.path, info)
    _require_content(ref.path, info)
    header = Header(grid, channels, chosen_frame(ref, frames), dtype.name, _facts(info) | mended)
    return Opened(header, lambda: _voxels(ref, info, grid.shape))


def write_mask(values: npt.NDArray[np.integer], like: Path, out: Path) -> None:
    """Write label values (I, J, K) with the header geometry of `like`, unchanged to the last bit.

    Affine, sform and qform with their codes, voxel sizes, units and byte order are those of `like`; the data type is
    the smallest that holds the values, scaling is off. Raises DataError where the shapes differ.
    """
    info, _ = _header(like)
    grid = _layout(like, info)[0]
    if values.shape != grid.shape:
        raise DataError(f"{out}: mask of shape {values.shape} does not fit {like} of shape {grid.shape}")
    header = header_like(like, info.get_data_shape()[:3], smallest_type(values, (np.uint8, np.int16, np.int32)))
    header.structarr["intent_code"] = LABEL_INTENT
    head = header.binaryblock.ljust(type(header).single_vox_offset, b"\0")
    _write(out, head + values.astype(header.get_data_dtype()).tobytes(order="F"))


def write_image(values: npt.NDArray[np.float32], like: Path, out: Path) -> None:
    """Write values (C, I, J, K) as float32 with the header geometry of `like`, unchanged to the last bit.

    One channel as a volume, several along the fifth axis. Raises DataError where the shapes differ.
    """
    info, _ = _header(like)
    grid = _layout(like, info)[0]
    if values.shape[1:] != grid.shape:
        raise DataError(f"{out}: image of shape {values.shape[1:]} does not fit {like} of shape {grid.shape}")
    sizes = info.get_data_shape()[:3] if len(values) == 1 else (*grid.shape, 1, len(values))
    header = header_like(like, sizes, np.float32)
    head = header.binaryblock.ljust(type(header).single_vox_offset, b"\0")
    _write(out, head + np.moveaxis(values, 0, -1).astype(header.get_data_dtype()).tobytes(order="F"))


def header_like(like: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
    """A nibabel header with the geometry of the file `like` to the last bit, for voxels of another kind.

    Affine, sform and qform with their codes, voxel sizes, units and byte order are those of `like`; what its header
    says of the values is left out, and scaling is off.
    """
    info, _ = _header(like)
    header = type(info)(_head(like)[: info.template_dtype.itemsize], check=False)
    header.set_data_dtype(np.dtype(dtype).newbyteorder(header.endianness))
    header.structarr["dim"] = [len(shape), *shape, *([1] * (7 - len(shape)))]
    for field, value in _NEW_VALUES.items():
        header.structarr[field] = value
    header.structarr["magic"] = type(header).single_magic
    header.structarr["vox_offset"] = type(header).single_vox_offset
    return header


def write_volume(
    path: Path, values: Array, affine: npt.ArrayLike, *, sform_code: int = 1, qform_code: int = 1, intent_code: int = 0
) -> None:
    """Write values (I, J, K) with an affine in RAS+ millimetres, under the given codes (0: that form is not set).

    The same input gives the same bytes.
    """
    image: Any = nib.Nifti1Image(values, None, dtype=values.dtype.type)
    image.header.set_sform(affine, code=sform_code)
    image.header.set_qform(affine, code=qform_code)
    image.header.set_xyzt_units("mm")
    image.header["intent_code"] = intent_code
    _write(path, image.to_bytes())


def qform_code(affine: npt.NDArray[np.float64]) -> int:
    """1 where a qform, which is a rotation, can hold an affine; 0 where its axes are sheared."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return 0 if np.abs(axes.T @ axes - np.eye(3)).max() > RIGHT_ANGLE else 1


_NEW_VALUES: dict[str, Any] = {
    "scl_slope": 1.0,
    "scl_inter": 0.0,
    "cal_min": 0.0,
    "cal_max": 0.0,
    "intent_code": 0,
    "intent_p1": 0.0,
    "intent_p2": 0.0,
    "intent_p3": 0.0,
    "intent_name": b"",
}


def _write(path: Path, content: bytes) -> None:
    write_whole(path, gzip.compress(content, GZIP_LEVEL, mtime=0) if _compressed(path) else content)


def _compressed(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def _head(path: Path) -> bytes:
    """The first bytes of the file, decompressed, as they stand in it: nibabel mends some fields while loading."""
    with path.open("rb") as stream:
        if not _compressed(path):
            return stream.read(HEAD_BYTES)
        unpacker, head = isal_zlib.decompressobj(wbits=31), b""
        while len(head) < HEAD_BYTES and (part := stream.read(COMPRESSED_BYTES)):
            head += unpacker.decompress(part, HEAD_BYTES - len(head))
        return head


class _Mended:
    """Takes in what nibabel changes in a header while it checks it, which would else be printed."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def log(self, level: int, message: str) -> None:
        """Keep what changes the header and is more than a trifle."""
        if level >= logging.WARNING and "setting" in message:
            self.said.append(message)


def _header(path: Path) -> tuple[Any, dict[str, str]]:
    """The nibabel header, voxels and extensions unread, and as the fact `mended` what was wrong with it."""
    try:
        head = _head(path)
        kind = next((kind for size, kind in KINDS.items() if size in _first_number(head)), None)
        if kind is not None:
            info, mended = kind(head[: kind.template_dtype.itemsize], check=False), _Mended()
            _require_sizes(path, info)
            info.check_fix(mended)
            return info, {"mended": "; ".join(mended.said)} if mended.said else {}
    except BROKEN as error:
        raise DataError(f"{path}: not a readable NIfTI file ({reason(error)})") from error
    unpacked = "gzip finds nothing in it" if path.stat().st_size else "empty"
    wrong = f"it begins with {head[:4]!r}" if head else unpacked
    raise DataError(f"{path}: not a readable NIfTI file ({wrong}, expected the length of a header, 348 or 540)")


def _require_sizes(path: Path, info: Any) -> None:
    """Raise DataError where voxels have no size, which nibabel would take for 1 mm; the sform has sizes of its own."""
    count = min(max(int(info["dim"][0]), 0), 3)
    sizes = info["pixdim"][1 : 1 + count]
    if int(info["sform_code"]) == 0 and not (np.abs(sizes) > 0).all():
        raise DataError(f"{path}: voxels of {' x '.join(f'{size:g}' for size in sizes)} mm in the header, and no sform")


def _require_content(path: Path, info: Any) -> None:
    """Raise DataError where a file without compression is too short for its voxels."""
    needed = int(info.get_data_offset()) + math.prod(map(int, info.get_data_shape())) * info.get_data_dtype().itemsize
    if not _compressed(path) and path.stat().st_size < needed:
        size = path.stat().st_size
        raise DataError(f"{path}: voxels cannot be read (the header tells of {needed:,} bytes, the file has {size:,})")


def _first_number(head: bytes) -> tuple[int, int]:
    """The first four bytes in both byte orders."""
    return int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")


def _layout(path: Path, info: Any) -> tuple[Any, int, int]:
    """Grid, channels and frames of an image of two to five dimensions."""
    shape = sizes = tuple(int(size) for size in info.get_data_shape())
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes = sizes[:-1]
    frames, channels = (*sizes[3:], 1, 1)[:2]
    if not 2 <= len(sizes) <= 5 or (len(sizes) == 5 and frames != 1):
        raise DataError(f"{path}: shape {shape} is neither an image, a volume, a series of volumes nor a vector volume")
    try:
        scale = MILLIMETRES[info.get_xyzt_units()[0]]
        affine = np.diag([scale, scale, scale, 1.0]) @ info.get_best_affine()
    except KeyError as error:
        raise DataError(
            f"{path}: the header's unit of length has the code {error.args[0]}, which NIfTI does not know"
        ) from error
    except BROKEN as error:
        raise DataError(f"{path}: the header does not say where the voxels lie ({reason(error)})") from error
    return place(path, shape=(*sizes, 1)[:3], affine=affine, unit="mm"), channels, frames


def _facts(info: Any) -> dict[str, str]:
    """What the header tells besides its geometry.

    sform_code, qform_code; forms_differ_mm: how far the two place a voxel apart at most, where both are set;
    scl_slope, scl_inter where they scale; byte_order where it is big; description, intent_code where they are set.
    """
    sform, qform = int(info["sform_code"]), int(info["qform_code"])
    facts = {"sform_code": str(sform), "qform_code": str(qform)}
    if sform and qform:
        facts["forms_differ_mm"] = _forms_differ(info)
    slope, inter = _scaling(info)
    if slope != 1 or inter != 0:
        facts |= {"scl_slope": f"{slope:g}", "scl_inter": f"{inter:g}"}
    if info.endianness == ">":
        facts["byte_order"] = "big"
    if int(info["intent_code"]):
        facts["intent_code"] = str(int(info["intent_code"]))
    description = bytes(info["descrip"]).rstrip(b"\0 ").decode("latin-1")
    return facts | ({"description": description} if description else {})


def _scaling(info: Any) -> tuple[np.float64, np.float64]:
    """What stored values are multiplied with, and what is added then."""
    slope, inter = info.get_slope_inter()
    return np.float64(1 if slope is None else slope), np.float64(inter or 0)


def _forms_differ(info: Any) -> str:
    """The largest distance (mm) between the two places that sform and qform give one voxel."""
    try:
        difference = np.abs(info.get_sform() - info.get_qform())[:3]
    except BROKEN:
        return "the qform is no rotation"
    farthest = difference @ (*(*info.get_data_shape()[:3], 1, 1)[:3], 1)
    return f"{np.linalg.norm(farthest) * MILLIMETRES[info.get_xyzt_units()[0]]:.4g}"


def _voxels(ref: ImageRef, info: Any, shape: tuple[int, int, int]) -> Array:
    """Values (channels * frames, I, J, K), scaled as the header says; native integers where it does not scale."""
    stored, dtype, offset = info.get_data_shape(), info.get_data_dtype(), info.get_data_offset()
    array: Any
    try:
        if _compressed(ref.path):  # all of it, so that its checksum is compared
            content = igzip.decompress(ref.path.read_bytes())
            array = np.ndarray(stored, dtype, content, offset, order="F")
        else:
            array = np.memmap(ref.path, dtype, "r", offset, stored, order="F")
        if ref.index is not None and len(stored) > 3:
            array = array[:, :, :, ref.index]
        array = apply_read_scaling(array, *_scaling(info))
    except (*BROKEN, TypeError) as error:  # numpy has a TypeError for a buffer that is too small
        raise DataError(f"{ref.path}: voxels cannot be read ({reason(error)})") from error
    return np.moveaxis(array.reshape(*shape, -1), -1, 0)


FORMAT = Format((".nii", ".nii.gz"), open_nifti, write_mask, ".nii.gz")
