"""NIfTI volumes (.nii, .nii.gz): headers without voxels, and masks that carry the header geometry of their image."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from hilum.errors import DataError
from hilum.formats.atomic import write_whole
from hilum.formats.base import Format, Header, Opened, place, reason, smallest_type

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from hilum.case import ImageRef
    from hilum.formats.base import Array

BROKEN = (OSError, EOFError, ValueError, zlib.error, ImageFileError, HeaderDataError, WrapStructError)
"""What nibabel and gzip raise for files that are truncated, empty or something else than they claim."""

MILLIMETRES = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}
"""How long one unit of the header is. Headers that name no unit are millimetres by convention."""

LABEL_INTENT = 1002
"""NIFTI_INTENT_LABEL: each voxel holds the number of a label."""

GZIP_LEVEL = 4
"""Masks compress well at any level; higher ones only cost time."""


def open_nifti(ref: ImageRef) -> Opened:
    """A NIfTI image with its header read. `ref.index` picks one frame of a four-dimensional one.

    The affine is the sform where its code is set, then the qform, then the voxel sizes alone, as nibabel has it.
    Raises DataError for a file that is no readable NIfTI image of real numbers.
    """
    image = _load(ref.path)
    if image.get_data_dtype().kind not in "iuf":
        raise DataError(f"{ref.path}: voxels are {image.get_data_dtype()}, expected real numbers")
    grid, channels, frames = _layout(ref.path, image)
    if ref.index is not None and not 0 <= ref.index < frames:
        raise DataError(f"{ref.path}: frame {ref.index} was asked for, the file has frames 0 to {frames - 1}")
    header = Header(grid, channels, 1 if ref.index is not None else frames)
    return Opened(header, lambda: _voxels(ref, grid.shape))


def write_mask(values: npt.NDArray[np.integer], like: Path, out: Path) -> None:
    """Write label values (I, J, K) with the header geometry of `like`, unchanged to the last bit.

    Affine, sform and qform with their codes, voxel sizes, units and byte order are those of `like`; the data type is
    the smallest that holds the values, scaling is off. Raises DataError where the shapes differ.
    """
    image = _load(like)
    grid = _layout(like, image)[0]
    if values.shape != grid.shape:
        raise DataError(f"{out}: mask of shape {values.shape} does not fit {like} of shape {grid.shape}")
    shape = image.shape[:3]
    header = type(image.header)(_raw_header(like, image), check=False)
    dtype = np.dtype(smallest_type(values, (np.uint8, np.int16, np.int32))).newbyteorder(header.endianness)
    header.set_data_dtype(dtype)
    header.structarr["dim"] = [len(shape), *shape, *([1] * (7 - len(shape)))]
    for field, value in _MASK_FIELDS.items():
        header.structarr[field] = value
    header.structarr["magic"] = type(header).single_magic
    header.structarr["vox_offset"] = type(header).single_vox_offset
    head = header.binaryblock.ljust(type(header).single_vox_offset, b"\0")
    content = head + values.astype(dtype).tobytes(order="F")
    compressed = out.name.lower().endswith(".gz")
    write_whole(out, gzip.compress(content, GZIP_LEVEL, mtime=0) if compressed else content)


def write_volume(path: Path, values: Array, affine: npt.ArrayLike, *, sform_code: int = 1, qform_code: int = 1) -> None:
    """Write values (I, J, K) with an affine in RAS+ millimetres, under the given codes (0: that form is not set).

    The same input gives the same bytes.
    """
    image: Any = nib.Nifti1Image(values, None, dtype=values.dtype.type)
    image.header.set_sform(affine, code=sform_code)
    image.header.set_qform(affine, code=qform_code)
    image.header.set_xyzt_units("mm")
    content = image.to_bytes()
    write_whole(path, gzip.compress(content, GZIP_LEVEL, mtime=0) if path.name.lower().endswith(".gz") else content)


_MASK_FIELDS: dict[str, Any] = {
    "scl_slope": 1.0,
    "scl_inter": 0.0,
    "cal_min": 0.0,
    "cal_max": 0.0,
    "intent_code": LABEL_INTENT,
    "intent_p1": 0.0,
    "intent_p2": 0.0,
    "intent_p3": 0.0,
    "intent_name": b"",
}


def _load(path: Path) -> Any:
    """The nibabel image, voxels unread."""
    try:
        image = nib.load(path)
    except BROKEN as error:
        raise DataError(f"{path}: not a readable NIfTI file ({reason(error)})") from error
    if not isinstance(image, nib.Nifti1Image):  # Nifti2Image is one too
        raise DataError(f"{path}: expected a NIfTI file, received {type(image).__name__}")
    return image


def _layout(path: Path, image: Any) -> tuple[Any, int, int]:
    """Grid, channels and frames of an image of two to five dimensions."""
    sizes = tuple(int(size) for size in image.shape)
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes = sizes[:-1]
    frames, channels = (*sizes[3:], 1, 1)[:2]
    if not 2 <= len(sizes) <= 5 or (len(sizes) == 5 and frames != 1):
        raise DataError(
            f"{path}: shape {image.shape} is neither an image, a volume, a series of volumes nor a vector volume"
        )
    try:
        scale = MILLIMETRES[image.header.get_xyzt_units()[0]]
    except KeyError as error:
        raise DataError(
            f"{path}: the header's unit of length has the code {error.args[0]}, which NIfTI does not know"
        ) from error
    affine = np.diag([scale, scale, scale, 1.0]) @ image.affine
    return place(path, shape=(*sizes, 1)[:3], affine=affine, unit="mm"), channels, frames


def _voxels(ref: ImageRef, shape: tuple[int, int, int]) -> Array:
    """Values (channels * frames, I, J, K), scaled as the header says; native integers where it does not scale."""
    try:
        image = _load_checked(ref.path)
        picked = ref.index is not None and image.ndim > 3
        array = np.asanyarray(image.dataobj[:, :, :, ref.index] if picked else image.dataobj)
    except BROKEN as error:
        raise DataError(f"{ref.path}: voxels cannot be read ({reason(error)})") from error
    return np.moveaxis(array.reshape(*shape, -1), -1, 0)


def _load_checked(path: Path) -> Any:
    """The image; a compressed one is read to its end, so that its checksum is compared."""
    image = _load(path)
    if not path.name.lower().endswith(".gz"):
        return image
    with gzip.open(path) as stream:
        return type(image).from_bytes(stream.read())


def _raw_header(path: Path, image: Any) -> bytes:
    """The header's bytes as they stand in the file: nibabel mends some fields while loading."""
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rb") as stream:
        return bytes(stream.read(type(image.header).template_dtype.itemsize))


FORMAT = Format((".nii", ".nii.gz"), open_nifti, write_mask, ".nii.gz")
