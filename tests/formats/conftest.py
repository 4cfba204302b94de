"""DICOM files with any content: slices of a series, colours, compressed and multi-frame ones."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
SERIES = "1.2.3.4"
STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
OBLIQUE = (0.8, 0.6, 0.0, -0.36, 0.48, -0.8)
"""Directions of rows and of columns, at right angles; their normal is (-0.48, 0.64, 0.6)."""
NORMAL = np.cross(OBLIQUE[:3], OBLIQUE[3:])


def image_dataset(pixels: npt.NDArray[Any], *, bits: int | None = None, multi: bool = False) -> Any:
    """A dataset with the pixels ([frames,] rows, columns[, 3]) and what describes them."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import generate_uid

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.file_meta.TransferSyntaxUID = LITTLE_ENDIAN
    dataset.Modality, dataset.PatientID, dataset.SeriesInstanceUID = "MR", "P7", SERIES
    coloured = pixels.ndim == 3 + multi
    dataset.Rows, dataset.Columns = pixels.shape[multi : multi + 2]
    if multi:
        dataset.NumberOfFrames = len(pixels)
    dataset.SamplesPerPixel = 3 if coloured else 1
    dataset.PhotometricInterpretation = "RGB" if coloured else "MONOCHROME2"
    if coloured:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    return dataset


def save_dicom(path: Path, dataset: Any, changes: Mapping[str, Any] | None = None) -> Path:
    """Write the dataset, with tags changed, or left out where their value is None."""
    for tag, value in (changes or {}).items():
        if value is None:
            delattr(dataset, tag)
        else:
            setattr(dataset, tag, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of values that tests make wrong on purpose
        dataset.save_as(path, enforce_file_format=True)
    return path


def write_series(
    folder: Path,
    planes: npt.NDArray[Any],
    *,
    positions: Sequence[Any] | None = None,
    directions: Sequence[float] = STRAIGHT,
    changes: Mapping[str, Any] | None = None,
    prefix: str = "",
) -> list[Path]:
    """A file for each plane (rows, columns), 3 mm apart along z unless positions say otherwise, in a random order.

    File names and instance numbers tell nothing about the positions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    positions = [(5.0, -7.0, 11.0 + 3.0 * k) for k in range(len(planes))] if positions is None else positions
    names = np.random.default_rng(0).permutation(len(planes))
    paths = []
    for name, plane, position in zip(names, planes, positions, strict=True):
        dataset = image_dataset(plane)
        dataset.InstanceNumber = int(name)
        dataset.ImagePositionPatient, dataset.ImageOrientationPatient = list(position), list(directions)
        dataset.PixelSpacing, dataset.SliceThickness = [0.5, 0.75], 2.0
        paths.append(save_dicom(folder / f"{prefix}{name:03d}.dcm", dataset, changes))
    return paths
