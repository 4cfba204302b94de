"""Volumes as the NIfTI that a browser draws: any format in, one form out, and label maps reduced to their edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from hilum.volume import Grid

COLOURS = 3
"""Channels of a picture in colour."""
COLOUR_TYPE = np.dtype([("R", np.uint8), ("G", np.uint8), ("B", np.uint8)])


def as_nifti(values: npt.NDArray[Any], grid: Grid) -> bytes:
    """Values (I, J, K), or a picture in colour (3, I, J, 1), on their grid as an uncompressed NIfTI file.

    What has no size in millimetres is a picture, whose rows run down: it is turned so that the browser shows it so.
    """
    values, affine = (values, grid.affine) if grid.unit == "mm" else _upright(values, grid)
    if values.ndim == 4:
        values = _in_colour(values)
    image: Any = nib.Nifti1Image(np.asfortranarray(values), None, dtype=values.dtype)
    image.header.set_sform(affine, code=1)
    image.header.set_qform(None, code=0)
    image.header.set_xyzt_units("mm" if grid.unit == "mm" else "unknown")
    content: bytes = image.to_bytes()
    return content


def outlined(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The labels (I, J, K) of those voxels alone that touch another label at a face, or the border of the volume.

    Along an axis of one voxel nothing is a neighbour.
    """
    edge = np.zeros(labels.shape, dtype=bool)
    for axis, size in enumerate(labels.shape):
        if size == 1:
            continue
        along = np.moveaxis(edge, axis, 0)
        values = np.moveaxis(labels, axis, 0)
        differs = values[1:] != values[:-1]
        along[1:] |= differs
        along[:-1] |= differs
        along[0] = along[-1] = True
    kept: npt.NDArray[np.uint8] = np.where(edge, labels, 0).astype(np.uint8)
    return kept


def _upright(values: npt.NDArray[Any], grid: Grid) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Rows up and columns to the right, and the affine of that."""
    turned = np.swapaxes(values, -3, -2)[..., ::-1, :]
    first, second, third = grid.spacing
    return turned, np.diag([second, first, third, 1.0])


def _in_colour(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A picture (I, J, 1) of red, green and blue from 0 to 255, stretched where it holds other numbers."""
    low, high = float(values.min()), float(values.max())
    known = low >= 0 and 1 < high <= 255
    scaled = values if known else (values - low) * (255 / max(high - low, 1e-9))
    picture = np.zeros(values.shape[1:], dtype=COLOUR_TYPE)
    for name, channel in zip("RGB", scaled, strict=True):
        picture[name] = np.rint(channel).astype(np.uint8)
    return picture
