"""Predicts an image and an oblique, flipped, 2 mm copy of it; prints the Dice of both and whether headers came back.

usage: oblique_copy.py RUN IMAGE LABEL    (or: make bench, which skips this one for want of a run)
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

import hilum

ROTATION_DEGREES = (12.0, -8.0, 20.0)
SPACING_MM = 2.0


GEOMETRY_FIELDS = (
    *("pixdim", "qform_code", "sform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "xyzt_units"),
)


def opened(file: Path) -> nib.Nifti1Image:
    """A NIfTI file."""
    image = nib.load(file)
    assert isinstance(image, nib.Nifti1Image)
    return image


def oblique_grid(source: nib.Nifti1Image) -> tuple[tuple[int, int, int], np.ndarray]:
    """Shape and affine of a rotated, flipped, axis-permuted grid of 2 mm around the middle of an image."""
    from scipy.spatial.transform import Rotation

    rotation = Rotation.from_euler("xyz", ROTATION_DEGREES, degrees=True).as_matrix()
    flipped = rotation @ np.diag([-1.0, 1.0, -1.0])[:, [2, 0, 1]]
    extent = np.linalg.norm(np.array(source.shape) * source.header.get_zooms()[:3])
    size = int(np.ceil(extent / SPACING_MM))
    affine = np.eye(4)
    affine[:3, :3] = flipped * SPACING_MM
    middle = source.affine @ [*(np.array(source.shape) - 1) / 2, 1]
    affine[:3, 3] = middle[:3] - affine[:3, :3] @ np.full(3, (size - 1) / 2)
    return (size, size, size), affine


def copied(source: nib.Nifti1Image, *, order: int) -> nib.Nifti1Image:
    """The image on the oblique grid, interpolated by SciPy; smoothed first where it is not a label map."""
    from nibabel.processing import resample_from_to
    from scipy.ndimage import gaussian_filter

    shape, affine = oblique_grid(source)
    values = np.asarray(source.dataobj)
    if order:
        factor = SPACING_MM / np.array(source.header.get_zooms()[:3])
        values = gaussian_filter(values.astype(np.float32), np.sqrt(np.maximum(factor**2 - 1, 0) / (8 * np.log(2))))
    plain = nib.Nifti1Image(values, source.affine)
    result = resample_from_to(plain, (shape, affine), order=order)
    result.header.set_xyzt_units("mm", "sec")
    result.set_qform(affine, code=2)
    result.set_sform(affine, code=1)
    return result


def dice(truth: np.ndarray, predicted: np.ndarray) -> list[float]:
    """Dice of each foreground value of the truth."""
    values = [value for value in np.unique(truth) if value]
    return [2 * ((truth == v) & (predicted == v)).sum() / ((truth == v).sum() + (predicted == v).sum()) for v in values]


def same_geometry(first: nib.Nifti1Image, second: nib.Nifti1Image) -> bool:
    """Whether shape, affine, codes and units agree to the last bit."""
    same = all(np.array_equal(first.header[name], second.header[name]) for name in GEOMETRY_FIELDS)
    return same and first.shape == second.shape and np.array_equal(first.affine, second.affine)


def main() -> int:
    """Print one line for the original and one for the copy."""
    if len(sys.argv) != 4:
        print(__doc__)
        return 0
    run, image, label = (Path(argument) for argument in sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder) / "in", Path(folder) / "out"
        inputs.mkdir()
        pairs = {
            "original": (opened(image), opened(label)),
            "copy": (copied(opened(image), order=1), copied(opened(label), order=0)),
        }
        for name, (picture, _) in pairs.items():
            nib.save(picture, inputs / f"{name}.nii.gz")
        hilum.predict(run, inputs, outputs)
        for name, (_, truth) in pairs.items():
            given, predicted = opened(inputs / f"{name}.nii.gz"), opened(outputs / f"{name}.nii.gz")
            scores = dice(np.asarray(truth.dataobj).round(), np.asarray(predicted.dataobj))
            geometry = "same" if same_geometry(given, predicted) else "CHANGED"
            print(f"{name:<9} shape {given.shape}  header geometry {geometry}  dice", *(f"{s:.3f}" for s in scores))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
