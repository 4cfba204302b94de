"""Images of floating-point numbers written onto the grid of the image they were made from."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.formats import nifti, npy
from hilum.formats.atomic import write_whole
from hilum.formats.reading import format_of, read_header

if TYPE_CHECKING:
    import numpy.typing as npt


def image_suffix(like: ImageRef | Path) -> str:
    """The suffix of a float image of this one: `.nii.gz` for what lies in millimetres, `.npy` for arrays, else `.tif`.

    Pictures of eight bits cannot hold what comes of them.
    """
    ref = like if isinstance(like, ImageRef) else ImageRef(like)
    if format_of(ref.path) is npy.FORMAT:
        return ".npy"
    return ".nii.gz" if read_header(ref).grid.unit == "mm" else ".tif"


def write_image_like(values: npt.NDArray[np.float32], like: ImageRef | Path, out: Path) -> None:
    """Write values (C, I, J, K) as float32 on the grid of the image `like`; the file appears only when complete.

    NIfTI: affine, sform, qform, their codes, voxel sizes and units of `like` to the last bit, channels along the fifth
    axis. Arrays: an array of that shape. Other volumes in millimetres: NIfTI with the image's affine. What has no size
    in millimetres: a TIFF of as many pages. Raises DataError where the shapes differ.
    """
    ref = like if isinstance(like, ImageRef) else ImageRef(like)
    header = read_header(ref)
    if values.shape[1:] != header.grid.shape:
        raise DataError(f"{out}: image of shape {values.shape[1:]} does not fit {ref} of shape {header.grid.shape}")
    suffix = image_suffix(ref)
    if not out.name.lower().endswith(suffix):
        raise DataError(f"{out}: an image for {ref} must end in {suffix}")
    if suffix == ".npy":
        _write_array(values, ref.path, out)
    elif suffix == ".tif":
        _write_pages(values, out)
    elif format_of(ref.path) is nifti.FORMAT:
        nifti.write_image(values, ref.path, out)
    else:
        one = values[0] if len(values) == 1 else np.moveaxis(values, 0, -1)[:, :, :, None]
        nifti.write_volume(out, one, header.grid.affine)


def _write_array(values: npt.NDArray[np.float32], like: Path, out: Path) -> None:
    shape = np.load(like, mmap_mode="r").shape
    stream = io.BytesIO()
    np.save(stream, np.moveaxis(values, 0, -1).reshape(shape))
    write_whole(out, stream.getvalue())


def _write_pages(values: npt.NDArray[np.float32], out: Path) -> None:
    """Greys, or three colours beside each other, as K pages."""
    import tifffile

    pages = np.moveaxis(values, (3, 0), (0, -1))  # (K, I, J, C)
    colours = pages.shape[-1] == 3
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        pages if colours else pages[..., 0],
        photometric="rgb" if colours else "minisblack",
        compression="zlib",
        metadata=None,
        software="hilum",
    )
    write_whole(out, stream.getvalue())
