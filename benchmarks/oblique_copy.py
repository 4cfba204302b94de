"""Predicts an image and an oblique, flipped, 2 mm copy of it; prints Dice and whether headers came back.

usage: oblique_copy.py RUN IMAGE LABEL    (or: make bench, which skips this one for want of a run)
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

import hilum

ROTATION_DEGREES = (6.0, -5.0, 8.0)
SPACING_MM = 2.0
FILLS = {"edge values outside": "nearest", "zeros outside": "constant"}
"""What stands where the copy's field of view leaves that of the original."""
GEOMETRY_FIELDS = (
    *("pixdim", "qform_code", "sform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "xyzt_units"),
)


def opened(file: Path) -> nib.Nifti1Image:
    """A NIfTI file."""
    image = nib.load(file)
    assert isinstance(image, nib.Nifti1Image)
    return image


def oblique_grid(source: nib.Nifti1Image) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape and affine of a rotated, flipped, axis-permuted grid of 2 mm with the field of view of an image."""
    from scipy.spatial.transform import Rotation

    rotation = Rotation.from_euler("xyz", ROTATION_DEGREES, degrees=True).as_matrix()
    extent = np.array(source.shape) * source.header.get_zooms()[:3]
    shape = tuple(int(np.ceil(length / SPACING_MM)) for length in extent[[2, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([-1.0, 1.0, -1.0])[:, [2, 0, 1]] * SPACING_MM
    middle = source.affine @ [*(np.array(source.shape) - 1) / 2, 1]
    affine[:3, 3] = middle[:3] - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return shape, affine


def resampled(values: np.ndarray, source: nib.Nifti1Image, *, fill: str) -> np.ndarray:
    """Values on the oblique grid: smoothed against aliasing, then interpolated linearly by SciPy."""
    from nibabel.processing import resample_from_to
    from scipy.ndimage import gaussian_filter

    factor = SPACING_MM / np.array(source.header.get_zooms()[:3])
    smooth = gaussian_filter(values.astype(np.float32), np.sqrt(np.maximum(factor**2 - 1, 0) / (8 * np.log(2))))
    plain = nib.Nifti1Image(smooth, source.affine)
    return np.asarray(resample_from_to(plain, oblique_grid(source), order=1, mode=fill).dataobj)


def copied(source: nib.Nifti1Image, *, fill: str) -> nib.Nifti1Image:
    """The image on the oblique grid, with codes and units of its own."""
    _, affine = oblique_grid(source)
    result = nib.Nifti1Image(resampled(np.asarray(source.dataobj), source, fill=fill), affine)
    result.header.set_xyzt_units("mm", "sec")
    result.set_qform(affine, code=2)
    result.set_sform(affine, code=1)
    return result


def copied_labels(source: nib.Nifti1Image) -> np.ndarray:
    """The label that fills most of each voxel of the oblique grid."""
    labels = np.asarray(source.dataobj).round()
    values = np.unique(labels)
    shares = [resampled(labels == value, source, fill="nearest" if value == 0 else "constant") for value in values]
    return values[np.argmax(shares, axis=0)]


def dice(truth: np.ndarray, predicted: np.ndarray) -> list[float]:
    """Dice of each foreground value of the truth."""
    values = [value for value in np.unique(truth) if value]
    return [2 * ((truth == v) & (predicted == v)).sum() / ((truth == v).sum() + (predicted == v).sum()) for v in values]


def same_geometry(first: nib.Nifti1Image, second: nib.Nifti1Image) -> bool:
    """Whether shape, affine, codes and units agree to the last bit."""
    same = all(np.array_equal(first.header[name], second.header[name]) for name in GEOMETRY_FIELDS)
    return same and first.shape == second.shape and np.array_equal(first.affine, second.affine)


def main() -> int:
    """Print a line for the original and one for each copy."""
    if len(sys.argv) != 4:
        print(__doc__)
        return 0
    run, image, label = (Path(argument) for argument in sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder) / "in", Path(folder) / "out"
        inputs.mkdir()
        source, truth = opened(image), opened(label)
        cases = {"original": (source, np.asarray(truth.dataobj).round())}
        for name, fill in FILLS.items():
            cases[f"copy, {name}"] = (copied(source, fill=fill), copied_labels(truth))
        for name, (picture, _) in cases.items():
            nib.save(picture, inputs / f"{name.replace(', ', '-').replace(' ', '-')}.nii.gz")
        hilum.predict(run, inputs, outputs, say=lambda _: None)
        for name, (_, labels) in cases.items():
            file = f"{name.replace(', ', '-').replace(' ', '-')}.nii.gz"
            given, predicted = opened(inputs / file), opened(outputs / file)
            scores = dice(labels, np.asarray(predicted.dataobj))
            geometry = "same" if same_geometry(given, predicted) else "CHANGED"
            shown = " ".join(f"{score:.3f}" for score in (*scores, float(np.mean(scores))))
            print(f"{name:<26} shape {given.shape}  header geometry {geometry}  dice and mean {shown}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
