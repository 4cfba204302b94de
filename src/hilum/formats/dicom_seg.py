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
    """A structure: its name, and the colour in which to show it, such as #56B4E9."""

    name: str
    colour: str


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
    from highdicom import UID
    from highdicom.seg import Segmentation

    frames = frames_of(like)
    if masks.shape[-3:] != (frames[0].instance.columns, frames[0].instance.rows, len(frames)):
        raise DataError(f"{out}: masks of shape {masks.shape} do not fit {like} of {len(frames)} planes")
    sources = _sources(frames)
    order = list(range(len(frames)))
    if len(sources) == 1:  # as the frames of the one file follow each other
        order.sort(key=lambda plane: frames[plane].number)
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
        omit_empty_frames=bool(masks.any()),  # an object needs a frame at least
    )
    seg.SeriesDescription = f"hilum {algorithm.network}"[:LONG_STRING]
    seg.SpecificCharacterSet = "ISO_IR 192"
    with writing_whole(out) as stream:
        seg.save_as(stream, enforce_file_format=True)


def refuse_unsuited(like: ImageRef) -> None:
    """Raise DataError where `write_seg` would for this image, whatever the masks are."""
    _source(frames_of(like)[0])


def _sources(frames: Sequence[Frame]) -> list[Any]:
    """The headers of the files of an image, in the order of their planes."""
    found = [_source(frame) for frame in {frame.instance.path: frame for frame in frames}.values()]
    if "ImageOrientationPatient" in found[0]:
        for dataset in found[1:]:  # equal but for rounding, as `frames_of` has seen to; highdicom wants equal digits
            dataset.ImageOrientationPatient = found[0].ImageOrientationPatient
    return found


def _source(frame: Frame) -> Any:
    """The header of a file of an image, complete enough to be referred to."""
    import pydicom
    from pydicom.valuerep import format_number_as_ds

    path = frame.instance.path
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
    if "SharedFunctionalGroupsSequence" not in dataset:
        dataset.PixelSpacing = dataset.get("PixelSpacing") or dataset.ImagerPixelSpacing
        dataset.SliceThickness = dataset.get("SliceThickness") or format_number_as_ds(float(frame.plane.step))
        dataset.pop("NumberOfFrames", None)  # of a lone image that counts itself
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
            display_color=CIELabColor.from_string(segment.colour),
        )
        for number, segment in enumerate(segments, start=1)
    ]
