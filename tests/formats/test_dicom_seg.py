"""DICOM segmentation objects, read back by highdicom, pydicom and SimpleITK: the structures, where they were."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.formats.conftest import NORMAL, OBLIQUE, save_dicom, write_series
from tests.formats.test_dicom import enhanced, planes

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.formats.dicom_seg import Algorithm, Segment, refuse_unsuited, write_seg
from hilum.formats.reading import read, read_header

pytest.importorskip("highdicom", reason="needs highdicom: pip install 'hilum[dicom-seg]'")

SEGMENTS = (Segment("Organ", "#56B4E9"), Segment("Läsion", "#E69F00"), Segment("never", "#009E73"))
ALGORITHM = Algorithm("0.1.0", "liver-unet3d", "ab" * 32)
TAGS = {"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.5", "PatientName": "Doe^Jane", "StudyID": "7"}
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def oblique_series(folder: Path, changes: Mapping[str, Any] | None = None) -> ImageRef:
    """Six oblique slices of 4 x 5 pixels, in files whose order tells nothing."""
    positions = [np.array([5.0, -7.0, 11.0]) + 2.5 * k * NORMAL for k in range(6)]
    write_series(
        folder, planes(6, (4, 5)), positions=positions, directions=OBLIQUE, changes={**TAGS, **(changes or {})}
    )
    return ImageRef(folder)


def numbers(shape: tuple[int, ...], most: int = 2) -> np.ndarray:
    """Segments' numbers (I, J, K), without symmetry; the first plane is empty."""
    values = np.random.default_rng(3).integers(0, most + 1, shape).astype(np.uint8)
    values[..., 0] = 0
    return values


def written(masks: np.ndarray, like: ImageRef, folder: Path) -> Any:
    """The object, as highdicom reads it."""
    from highdicom.seg import segread

    write_seg(masks, like, folder / "seg.dcm", segments=SEGMENTS, algorithm=ALGORITHM)
    assert [file.name for file in folder.glob("*.part")] == []
    return segread(folder / "seg.dcm")


def in_place(seg: Any, like: ImageRef) -> np.ndarray:
    """The structures (S, I, J, K) at the voxels of the image whose place in the patient is that of a pixel.

    Found by the place that each frame has in its own header, with pydicom's numbers alone.
    """
    grid = read_header(like).grid
    to_voxels = np.linalg.inv(LPS @ grid.affine)
    found = np.zeros((len(seg.SegmentSequence), *grid.shape), bool)
    shared = seg.SharedFunctionalGroupsSequence[0]
    pixels = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    for frame, plane in zip(seg.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        place = frame.PlanePositionSequence[0].ImagePositionPatient
        directions = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
        rows_mm, columns_mm = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
        number = int(frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        for row, column in np.argwhere(plane):
            point = np.array(place, float) + column * columns_mm * directions[0] + row * rows_mm * directions[1]
            voxel = to_voxels @ (*point, 1)
            assert np.abs(voxel - voxel.round()).max() < 1e-3
            found[(number - 1, *voxel[:3].round().astype(int))] = True
    return found


def test_structures_lie_voxel_for_voxel_where_the_labels_are(tmp_path: Path) -> None:
    series = oblique_series(tmp_path / "s")
    labels = numbers(read_header(series).grid.shape)
    seg = written(labels, series, tmp_path)
    assert np.array_equal(in_place(seg, series), [labels == number for number in (1, 2, 3)])
    assert seg.NumberOfFrames == 10  # two structures in five planes; empty frames are left out


def test_simpleitk_sees_the_structures_over_the_series(tmp_path: Path) -> None:
    """One structure in every plane: SimpleITK reads the object as a volume and resamples it onto the series."""
    import SimpleITK
    from tests.oracles.test_formats_simpleitk import itk_series

    series = oblique_series(tmp_path / "s")
    labels = np.zeros(read_header(series).grid.shape, np.uint8)
    labels[1:4, 2:, :] = 1
    labels[0, 0, 2:] = 1
    written(labels, series, tmp_path)
    found = SimpleITK.ReadImage(str(tmp_path / "seg.dcm"))
    image = itk_series(tmp_path / "s")
    there = SimpleITK.Resample(found, image, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor)
    grid, ours = read_header(series).grid, SimpleITK.GetArrayFromImage(there).T > 0
    for voxel in np.ndindex(*grid.shape):
        point = (LPS @ grid.affine @ (*voxel, 1))[:3]
        index = image.TransformPhysicalPointToIndex(point.tolist())
        assert ours[index] == (labels[voxel] == 1), voxel


def test_names_colours_and_what_made_them_are_told(tmp_path: Path) -> None:
    from highdicom.color import CIELabColor

    series = oblique_series(tmp_path / "s", {"PatientName": "Müller^Ö", "SpecificCharacterSet": "ISO_IR 100"})
    seg = written(numbers((5, 4, 6)), series, tmp_path)
    assert [one.SegmentLabel for one in seg.SegmentSequence] == ["Organ", "Läsion", "never"]
    assert (str(seg.PatientName), seg.PatientID, seg.StudyInstanceUID) == ("Müller^Ö", "P7", "1.2.3")
    assert seg.FrameOfReferenceUID == "1.2.5"
    assert (seg.Manufacturer, seg.SoftwareVersions, seg.DeviceSerialNumber) == ("hilum", "0.1.0", "ab" * 32)
    for one in seg.SegmentSequence:
        assert one.SegmentAlgorithmType == "AUTOMATIC"
        (made_by,) = one.SegmentationAlgorithmIdentificationSequence
        assert (made_by.AlgorithmName, made_by.AlgorithmVersion) == ("hilum", "0.1.0")
        assert made_by.AlgorithmParameters == f"weights_sha256={'ab' * 32}"
    referenced = {one.ReferencedSOPInstanceUID for one in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert len(referenced) == 6
    blue = CIELabColor.from_dicom_value(list(map(int, seg.SegmentSequence[0].RecommendedDisplayCIELabValue)))
    assert blue.to_rgb() == (0x56, 0xB4, 0xE9)


def test_overlapping_structures_are_kept_apart(tmp_path: Path) -> None:
    series = oblique_series(tmp_path / "s")
    masks = np.random.default_rng(4).random((3, 5, 4, 6)) < 0.5
    assert np.array_equal(in_place(written(masks, series, tmp_path), series), masks)


def test_where_nothing_was_found_there_is_an_empty_object(tmp_path: Path) -> None:
    series = oblique_series(tmp_path / "s")
    seg = written(np.zeros((5, 4, 6), np.uint8), series, tmp_path)
    assert len(seg.SegmentSequence) == 3
    assert not seg.pixel_array.any()


def test_frames_of_an_enhanced_file_are_referred_to_in_their_order(tmp_path: Path) -> None:
    dataset = enhanced(planes(4), [6.0, 0.0, 9.0, 3.0])
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    ref = ImageRef(save_dicom(tmp_path / "multi.dcm", dataset, TAGS))
    labels = numbers(read_header(ref).grid.shape)
    seg = written(labels, ref, tmp_path)
    assert np.array_equal(in_place(seg, ref), [labels == number for number in (1, 2, 3)])


def test_a_real_series_comes_back_in_place(shared_data: Path, tmp_path: Path) -> None:
    ref = ImageRef(shared_data / "dicom" / "hippocampus_crop_series")
    values = read(ref).tensor[0].numpy()
    labels = (values > np.percentile(values, 90)).astype(np.uint8)
    assert np.array_equal(in_place(written(labels, ref, tmp_path), ref)[0], labels == 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"StudyInstanceUID": ""}, "lacks StudyInstanceUID, which a DICOM segmentation object takes over"),
        ({"FrameOfReferenceUID": ""}, "lacks FrameOfReferenceUID"),
    ],
)
def test_what_cannot_be_referred_to_is_refused(tmp_path: Path, changes: Mapping[str, Any], reason: str) -> None:
    series = oblique_series(tmp_path / "s", changes)
    with pytest.raises(DataError, match=reason):
        refuse_unsuited(series)


def test_an_image_without_a_place_is_refused(tmp_path: Path) -> None:
    from tests.formats.conftest import image_dataset

    file = save_dicom(tmp_path / "xray.dcm", image_dataset(planes(1)[0]), TAGS)
    with pytest.raises(DataError, match="does not say where in the patient it lies"):
        refuse_unsuited(ImageRef(file))
