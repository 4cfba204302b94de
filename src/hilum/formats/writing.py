"""Masks written onto the grid of the image they belong to, in that image's own format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hilum.errors import DataError
from hilum.formats.reading import format_of

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from hilum.formats.base import Format


def write_mask_like(values: npt.NDArray[np.integer], like: Path, out: Path) -> None:
    """Write label values (I, J, K) to `out` on the grid of the image `like`; the file appears only when complete.

    NIfTI: affine, sform, qform, their codes, voxel sizes and units of `like` to the last bit. Pictures: a PNG of
    label values.
    Raises DataError where shapes or formats do not fit.
    """
    source = format_of(like)
    write = source.write_mask
    if write is None:
        raise DataError(f"{like}: masks cannot be written for {', '.join(source.suffixes)} files")
    if not _writes(source, out):
        raise DataError(f"{out}: a mask for {like} must end in {mask_suffix(like)}")
    write(values, like, out)


def mask_suffix(like: Path) -> str:
    """The suffix of a mask of this image: `.nii.gz` for volumes, `.png` for pictures. Raises DataError for others."""
    suffix = format_of(like).mask_suffix
    if suffix is None:
        raise DataError(f"{like}: masks cannot be written for such files")
    return suffix


def _writes(source: Format, out: Path) -> bool:
    """Pictures must not be compressed with loss; a volume may be compressed or not."""
    name = out.name.lower()
    return name.endswith(".png") if source.mask_suffix == ".png" else name.endswith(source.suffixes)
