"""Masks written onto the grid of the image they belong to, in that image's own format or in one that suits its grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.formats import nifti, png, tiff
from hilum.formats.base import smallest_type
from hilum.formats.reading import format_of, read_header

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from hilum.volume import Grid


def write_mask_like(values: npt.NDArray[np.integer], like: ImageRef | Path, out: Path) -> None:
    """Write label values (I, J, K) to `out` on the grid of the image `like`; the file appears only when complete.

    NIfTI: affine, sform, qform, their codes, voxel sizes and units of `like` to the last bit. Pictures: a PNG of
    label values. Arrays: an array of that shape. DICOM, MetaImage, NRRD: NIfTI with the image's affine. What has no
    size in millimetres: a PNG, or a TIFF of as many pages.
    Raises DataError where shapes or formats do not fit.
    """
    ref = _ref(like)
    source = format_of(ref.path)
    if not _writes(out, mask_suffix(ref)):
        raise DataError(f"{out}: a mask for {ref} must end in {mask_suffix(ref)}")
    if source.write_mask is not None:
        source.write_mask(values, ref.path, out)
        return
    grid = read_header(ref).grid
    if values.shape != grid.shape:
        raise DataError(f"{out}: mask of shape {values.shape} does not fit {ref} of shape {grid.shape}")
    if grid.unit == "mm":
        _write_nifti(values, grid, out)
    elif grid.shape[2] == 1:
        png.write_labels(values, out)
    else:
        tiff.write_labels(values, out)


def mask_suffix(like: ImageRef | Path) -> str:
    """The suffix of a mask of this image: `.nii.gz` for what lies in millimetres, `.png` for pictures, and others.

    Raises DataError where no mask can be written.
    """
    ref = _ref(like)
    source = format_of(ref.path)
    if source.mask_suffix is not None:
        return source.mask_suffix
    if not source.mask_by_grid:
        raise DataError(f"{ref}: masks cannot be written for {', '.join(source.suffixes)} files")
    grid = read_header(ref).grid
    if grid.unit == "mm":
        return ".nii.gz"
    return ".png" if grid.shape[2] == 1 else ".tif"


def _ref(like: ImageRef | Path) -> ImageRef:
    return like if isinstance(like, ImageRef) else ImageRef(like)


def _writes(out: Path, suffix: str) -> bool:
    """Pictures must not be compressed with loss; a volume may be compressed or not."""
    name = out.name.lower()
    return name.endswith(nifti.FORMAT.suffixes) if suffix in nifti.FORMAT.suffixes else name.endswith(suffix)


def _write_nifti(values: npt.NDArray[np.integer], grid: Grid, out: Path) -> None:
    """Label values in a NIfTI file whose sform is the affine, and its qform too where that is a rotation."""
    labels = values.astype(smallest_type(values, (np.uint8, np.int16, np.int32)))
    code = nifti.qform_code(grid.affine)
    nifti.write_volume(out, labels, grid.affine, qform_code=code, intent_code=nifti.LABEL_INTENT)
