"""What the header of one DICOM file tells: which series it belongs to, how large it is, and where its planes lie."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from os import SEEK_CUR
from typing import TYPE_CHECKING, Any, BinaryIO

from hilum.errors import DataError
from hilum.formats.base import reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

BROKEN = (OSError, EOFError, ValueError, KeyError, AttributeError, TypeError, NotImplementedError, IndexError)
"""What pydicom raises for files that are truncated, empty or something else than they claim."""

MAGIC_AT, MAGIC = 128, b"DICM"

FACTS = {
    "PatientID": "patient_id",
    "PatientSex": "patient_sex",
    "PatientAge": "patient_age",
    "StudyDate": "study_date",
    "Modality": "modality",
    "SeriesDescription": "series_description",
    "BodyPartExamined": "body_part",
    "ViewPosition": "view",
    "Manufacturer": "manufacturer",
    "ManufacturerModelName": "model",
    "InstitutionName": "institution",
    "PhotometricInterpretation": "photometric",
    "BitsStored": "bits",
}
"""Tags that are passed on as facts, and the names of the facts. Patients' names and birth dates are not among them."""

SIZES = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "NumberOfFrames", "Rows", "Columns", "SamplesPerPixel"),
    *("BitsAllocated", "HighBit", "PixelRepresentation", "ModalityLUTSequence"),
)
PLANES = (
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "ImagerPixelSpacing", "SliceThickness"),
    *("SpacingBetweenSlices", "RescaleSlope", "RescaleIntercept", "RescaleType"),
)
GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
"""Where multi-frame files keep what holds for all frames, and what holds for each."""

UNITS_BY_MODALITY = ("CT", "PT")
"""Modalities whose rescaled values are measurements (HU, activity), whether or not RescaleType says so."""

DEFLATED = "1.2.840.10008.1.2.1.99"
IMPLICIT_HEAD_BYTES, EXPLICIT_HEAD_BYTES = 8, 12
"""So many bytes of tag, type and length precede the pixels: at least, and where they are compressed."""
FRAGMENT, LAST_FRAGMENT = struct.Struct("<II"), 0xE0DDFFFE
"""A fragment of compressed pixels begins with its tag and length; the tag behind the last one."""


@dataclass(frozen=True)
class Plane:
    """One frame: position of its first pixel and directions of its rows and columns (LPS+, mm), and its scaling.

    `spacing` is the distance of rows, then of columns; `between` that of neighbouring planes, where it is told.
    `in_units` tells whether the scaling gives measurements.
    """

    position: tuple[float, ...] | None
    directions: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    between: float | None
    thickness: float | None
    slope: float
    intercept: float
    in_units: bool

    @property
    def step(self) -> float:
        """The distance to the next plane as far as the header knows it."""
        return self.between or self.thickness or 1.0


@dataclass(frozen=True)
class Instance:
    """One file: its series, the layout of its pixels, its planes (one for each frame) and further facts."""

    path: Path
    series: str
    syntax: str
    rows: int
    columns: int
    samples: int
    bits: int
    stored: str
    photometric: str
    planes: tuple[Plane, ...]
    facts: Mapping[str, str]

    @property
    def layout(self) -> str:
        """What all slices of a series must share, in words."""
        values = f"{self.samples} values a pixel, {self.bits} bits of {self.stored}, {self.photometric}"
        return f"{self.rows} rows, {self.columns} columns, {values}{' (turned round)' if self.inverted else ''}"

    @property
    def inverted(self) -> bool:
        """Whether low values are bright and have to be turned round: only those that are no measurements in a unit."""
        in_units = any(plane.in_units for plane in self.planes)
        return self.photometric == "MONOCHROME1" and not self.stored.startswith("float") and not in_units


def has_magic(path: Path) -> bool:
    """Whether the file says of itself that it is DICOM; False where it cannot be read."""
    if not path.is_file():  # opening a pipe would wait for whoever writes into it
        return False
    try:
        with path.open("rb") as stream:
            return stream.read(MAGIC_AT + len(MAGIC))[MAGIC_AT:] == MAGIC
    except OSError:
        return False


def read_instance(path: Path) -> Instance | None:
    """The header of one file, its pixels unread; None for DICOM files that hold no image (reports, DICOMDIR).

    Raises DataError for a file that is broken, truncated or stores its pixels in a way that hilum does not know.
    """
    if not has_magic(path):
        raise DataError(f"{path}: not a readable DICOM file (no 'DICM' at byte {MAGIC_AT})")
    try:
        dataset, missing_bytes = _header(path)
        kind = _class(dataset)
        if "Rows" not in dataset and kind and "Image Storage" not in kind:
            return None
        if "Rows" not in dataset:
            raise ValueError("the header ends before the size of the image")
        instance = _instance(path, dataset)
    except BROKEN as error:
        raise DataError(f"{path}: not a readable DICOM file ({reason(error)})") from error
    if missing_bytes:
        raise DataError(f"{path}: truncated: at least {missing_bytes} bytes of pixels are missing")
    _check(path, dataset, instance)
    return instance


def _header(path: Path) -> tuple[Any, int]:
    """The tags in use, and how many bytes of pixels are missing at the end of the file."""
    import pydicom

    tags = [*SIZES, *PLANES, *GROUPS, *FACTS]
    with path.open("rb") as stream:
        dataset = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=tags)
        end = path.stat().st_size
        syntax = dataset.file_meta.TransferSyntaxUID
        if "Rows" not in dataset or syntax == DEFLATED:
            return dataset, 0
        if syntax.is_encapsulated:
            return dataset, _missing_fragments(stream, end)
        bits = dataset.Rows * dataset.Columns * dataset.get("SamplesPerPixel", 1) * dataset.BitsAllocated
        subsampled = dataset.get("PhotometricInterpretation") == "YBR_FULL_422"  # two pixels share a colour
        needed = bits * int(dataset.get("NumberOfFrames") or 1) // (12 if subsampled else 8)
        return dataset, max(0, stream.tell() + IMPLICIT_HEAD_BYTES + needed - end)


def _missing_fragments(stream: BinaryIO, end: int) -> int:
    """How many bytes are missing after the compressed fragments, which begin where the stream is."""
    stream.seek(EXPLICIT_HEAD_BYTES, SEEK_CUR)
    while len(head := stream.read(FRAGMENT.size)) == FRAGMENT.size:
        tag, length = FRAGMENT.unpack(head)
        if tag == LAST_FRAGMENT:
            return 0
        if stream.seek(length, SEEK_CUR) > end:
            return stream.tell() - end
    return FRAGMENT.size - len(head)


def _class(dataset: Any) -> str:
    """What sort of object the file holds: "CT Image Storage"."""
    uid = dataset.file_meta.get("MediaStorageSOPClassUID") or dataset.get("SOPClassUID")
    return str(getattr(uid, "name", ""))


def _instance(path: Path, dataset: Any) -> Instance:
    bits = int(dataset.get("BitsStored", dataset.BitsAllocated))
    allocated = int(dataset.BitsAllocated)
    if "PixelRepresentation" in dataset:
        stored = f"{'int' if dataset.PixelRepresentation else 'uint'}{allocated}"
    else:  # only pixels that are floating point do without
        stored = f"float{allocated}"
    facts = {name: str(dataset[tag].value) for tag, name in FACTS.items() if tag in dataset and dataset[tag].value}
    return Instance(
        path=path,
        series=str(dataset.get("SeriesInstanceUID", "")),
        syntax=str(dataset.file_meta.TransferSyntaxUID),
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        samples=int(dataset.get("SamplesPerPixel", 1)),
        bits=bits,
        stored=stored,
        photometric=str(dataset.get("PhotometricInterpretation", "MONOCHROME2")),
        planes=tuple(_planes(dataset)),
        facts=facts,
    )


def _planes(dataset: Any) -> Iterator[Plane]:
    """The planes of all frames: each looks first in its own group, then in the shared one, then in the file's tags."""
    shared, own = (list(dataset.get(name) or []) for name in GROUPS)
    for frame in range(int(dataset.get("NumberOfFrames") or 1)):
        groups = [*own[frame : frame + 1], *shared[:1]]
        places = [item for group in groups for element in group if element.VR == "SQ" for item in element.value[:1]]
        found = dict[str, Any]()
        for tag in PLANES:
            found[tag] = next((place[tag].value for place in [*places, dataset] if tag in place), None)
        if not own and int(dataset.get("NumberOfFrames") or 1) > 1:
            found["ImagePositionPatient"] = None  # that of the first frame only
        yield Plane(
            position=_numbers(found["ImagePositionPatient"], 3),
            directions=_numbers(found["ImageOrientationPatient"], 6),
            spacing=_numbers(found["PixelSpacing"] or found["ImagerPixelSpacing"], 2),
            between=abs(float(found["SpacingBetweenSlices"] or 0.0)) or None,
            thickness=float(found["SliceThickness"] or 0.0) or None,
            slope=float(1.0 if found["RescaleSlope"] is None else found["RescaleSlope"]),
            intercept=float(found["RescaleIntercept"] or 0.0),
            in_units=_in_units(found["RescaleSlope"], found["RescaleType"], str(dataset.get("Modality", ""))),
        )


def _in_units(slope: Any, kind: Any, modality: str) -> bool:
    """Whether rescaled values are measurements; RescaleType US stands for an unspecified unit."""
    return str(kind or "US") != "US" or (slope is not None and modality in UNITS_BY_MODALITY)


def _numbers(values: Iterable[Any] | None, count: int) -> tuple[float, ...] | None:
    numbers = tuple(float(value) for value in values or ())
    if numbers and len(numbers) != count:
        raise ValueError(f"{count} numbers expected, received {numbers}")
    return numbers or None


def _check(path: Path, dataset: Any, instance: Instance) -> None:
    """Raise DataError where the pixels mean something else than measurements."""
    if instance.stored == "uint1" or "Segmentation" in _class(dataset):
        raise DataError(f"{path}: a DICOM segmentation object, which hilum does not read: convert it to NIfTI")
    if not (instance.photometric.startswith(("MONOCHROME", "YBR_")) or instance.photometric == "RGB"):
        raise DataError(f"{path}: colour model {instance.photometric}, expected greys or RGB: convert the file first")
    if int(dataset.get("HighBit", instance.bits - 1)) != instance.bits - 1:
        raise DataError(f"{path}: the highest bit is {dataset.HighBit} of {instance.bits}: the values are shifted")
    if dataset.get("ModalityLUTSequence"):
        raise DataError(
            f"{path}: its values mean something only through a table (ModalityLUTSequence), which hilum does not apply:"
            " apply it (pydicom's apply_modality_lut does), and write the file anew without it"
        )
