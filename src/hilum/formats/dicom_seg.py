"""Structures of a DICOM image as a DICOM segmentation object, which a PACS keeps and shows over that image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hilum.errors import DataError
from hilum.formats.atomic import writing_whole
from hilum.formats.dicom import frames_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from hilum.case import ImageRef
    from hilum.formats.dicom_geometry import Frame

PACKAGE = "highdicom"
REQUIRED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "FrameOfReferenceUID")
"""Tags that a segmentation object takes over from its image, and cannot do without."""
EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate"),
    *("StudyTime", "ReferringPhysicianName"),
)
"""Tags that it takes over and that may be empty, as they are where somebody removed them."""
LONG_STRING, SHORT_STRING = 64, 16
"""Characters that DICOM allows in most texts, and in labels."""
SERIES_NUMBER = 9000
"""Far from the numbers that scanners give."""


@dataclass(frozen=True)
class Segment:
    """A structure: its name, and the colour (red, green, blue: 0 to 255) in which to show it."""

    name: str
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class Algorithm:
    """What made a segmentation: the version of hilum, the trained network by name, and the hash of its weights."""

    version: str
    network: str
    weights_sha256: str


def write_seg(
    masks: npt.NDArray[Any], like: ImageRef, out: Path, *, segments: Sequence[Segment], algorithm: Algorithm
) -> None:
    """Write structures of the DICOM image `like` to `out`; the file appears only when complete.

    `masks` (I, J, K) has the number of each voxel's structure, from 1 on, 0 for none; or (S, I, J, K) says of each
    structure which voxels are in it, where they overlap. The object refers to the planes of the image and lies where
    they do; patient and study are theirs; the series is new. Raises DataError where the image does not say where it
    lies, or lacks a tag that is needed.
    """
    from highdicom import UID, PlanePositionSequence
    from highdicom.seg import Segmentation

    frames = frames_of(like)
    if masks.shape[-3:] != (frames[0].instance.columns, frames[0].instance.rows, len(frames)):
        raise DataError(f"{out}: masks of shape {masks.shape} do not fit {like} of {len(frames)} planes")
    if len({frame.instance.path for frame in frames}) == 1:  # as the frames of a file follow each other
        order = sorted(range(len(frames)), key=lambda plane: frames[plane].number)
    else:
        order = list(range(len(frames)))
    frames = tuple(frames[plane] for plane in order)
    sources = [_source(path) for path in dict.fromkeys(frame.instance.path for frame in frames)]
    pixels = np.moveaxis(masks[..., order], (-1, -2, -3), (0, 1, 2))  # (planes, rows, columns[, S])
    seg = Segmentation(
        source_images=sources,
        pixel_array=np.ascontiguousarray(pixels),
        segmentation_type="BINARY",
        segment_descriptions=_described(segments, algorithm),
        series_instance_uid=UID(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=UID(),
        instance_number=1,
        manufacturer="hilum",
        manufacturer_model_name="hilum",
        software_versions=algorithm.version,
        device_serial_number=algorithm.weights_sha256,
        content_description=f"predicted by {algorithm.network}"[:LONG_STRING],
        content_label="SEGMENTATION",
        plane_orientation=_orientation(frames),
        plane_positions=[PlanePositionSequence("PATIENT", frame.plane.position) for frame in frames],
        pixel_measures=_measures(frames),
        omit_empty_frames=bool(masks.any()),  # an object needs a frame at least
    )
    seg.SeriesDescription = f"hilum {algorithm.network}"[:LONG_STRING]
    seg.SpecificCharacterSet = "ISO_IR 192"
    with writing_whole(out) as stream:
        seg.save_as(stream, enforce_file_format=True)


def refuse_unsuited(like: ImageRef) -> None:
    """Raise DataError where `write_seg` would for this image, whatever the masks are."""
    _source(frames_of(like)[0].instance.path)


def _source(path: Path) -> Any:
    """The header of a file of the image, complete enough to be referred to."""
    import pydicom

    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    lacking = [tag for tag in REQUIRED if not dataset.get(tag)]
    if lacking:
        raise DataError(
            f"{path}: lacks {', '.join(lacking)}, which a DICOM segmentation object takes over from its image: "
            "restore the tag, or leave predict.dicom_seg away"
        )
    for tag in EMPTY:
        value = dataset.get(tag)
        setattr(dataset, tag, "" if value is None else str(value))  # decoded, to be encoded anew
    if "NumberOfFrames" in dataset and "SharedFunctionalGroupsSequence" not in dataset:
        del dataset.NumberOfFrames  # a lone image that counts itself
    return dataset


def _described(segments: Sequence[Segment], algorithm: Algorithm) -> list[Any]:
    """What each structure is. A name says it better than any code that could be guessed from it: "tissue"."""
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    identified = AlgorithmIdentificationSequence(
        name="hilum",
        family=codes.DCM.ArtificialIntelligence,
        version=algorithm.version,
        source=algorithm.network[:LONG_STRING],
        parameters={"weights_sha256": algorithm.weights_sha256},
    )
    return [
        SegmentDescription(
            segment_number=number,
            segment_label=segment.name[:LONG_STRING],
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Tissue,
            algorithm_type="AUTOMATIC",
            algorithm_identification=identified,
            display_color=CIELabColor(*cielab(segment.colour)),
        )
        for number, segment in enumerate(segments, start=1)
    ]


def cielab(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    """L* (0 to 100), a* and b* (-128 to 127) of an sRGB colour (0 to 255) under D65 (IEC 61966-2-1, CIE 1976)."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in np.divide(colour, 255)]
    x, y, z = np.array(SRGB_TO_XYZ) @ linear / np.array(WHITE)
    fx, fy, fz = (part ** (1 / 3) if part > (6 / 29) ** 3 else part * (29 / 6) ** 2 / 3 + 4 / 29 for part in (x, y, z))
    return float(116 * fy - 16), float(500 * (fx - fy)), float(200 * (fy - fz))


SRGB_TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
WHITE = (0.95047, 1.0, 1.08883)
"""D65."""


def _orientation(frames: Sequence[Frame]) -> Any:
    from highdicom import PlaneOrientationSequence

    return PlaneOrientationSequence("PATIENT", frames[0].plane.directions)


def _measures(frames: Sequence[Frame]) -> Any:
    """The size of a pixel, and how thick a plane is and how far the next one lies away."""
    from highdicom import PixelMeasuresSequence

    first = frames[0].plane
    between = first.step
    if len(frames) > 1:
        ends = np.subtract(frames[-1].plane.position, first.position)
        between = float(np.linalg.norm(ends)) / (len(frames) - 1)
    return PixelMeasuresSequence(
        pixel_spacing=first.spacing, slice_thickness=first.thickness or between, spacing_between_slices=between
    )
