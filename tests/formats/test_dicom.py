"""DICOM: series sorted by position, multi-frame files, scaling and compression, and series that make no volume."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.formats.conftest import NORMAL, OBLIQUE, image_dataset, save_dicom, write_series

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.formats.dicom import series_in
from hilum.formats.reading import files_of, is_image, read, read_header, stem
from hilum.formats.writing import mask_suffix, write_mask_like

LPS = np.diag([-1.0, -1.0, 1.0])


def planes(count: int = 5, shape: tuple[int, int] = (4, 6), dtype: str = "int16") -> npt.NDArray[Any]:
    return np.random.default_rng(1).integers(-100 if dtype[0] == "i" else 0, 100, (count, *shape)).astype(dtype)


def test_slices_are_sorted_by_position_and_lie_where_the_header_says(tmp_path: Path) -> None:
    stack = planes()
    positions = [np.array([5.0, -7.0, 11.0]) + 2.5 * k * NORMAL for k in range(5)]
    write_series(tmp_path, stack, positions=positions, directions=OBLIQUE)
    volume = read(ImageRef(tmp_path))
    assert np.array_equal(volume.tensor[0], stack.transpose(2, 1, 0))
    assert volume.grid.unit == "mm"
    for column, row, k in ((0, 0, 0), (5, 0, 0), (0, 3, 0), (2, 1, 4)):
        point = positions[k] + 0.75 * column * np.array(OBLIQUE[:3]) + 0.5 * row * np.array(OBLIQUE[3:])
        assert np.allclose((volume.grid.affine @ (column, row, k, 1))[:3], LPS @ point)


def test_a_tilted_gantry_shears_the_grid_and_is_told(tmp_path: Path) -> None:
    positions = [(0.0, 3.0 * k * np.tan(np.radians(15.0)), 3.0 * k) for k in range(4)]
    write_series(tmp_path / "ct", planes(4), positions=positions)
    header = read_header(ImageRef(tmp_path / "ct"))
    assert header.facts["tilt_degrees"] == "15.00"
    assert np.allclose((header.grid.affine @ (0, 0, 3, 1))[:3], LPS @ np.array(positions[3]))
    write_mask_like(np.ones((6, 4, 4), dtype=int), tmp_path / "ct", tmp_path / "mask.nii.gz")
    assert np.allclose(read_header(ImageRef(tmp_path / "mask.nii.gz")).grid.affine, header.grid.affine, atol=1e-5)


def test_a_header_reads_no_pixels_and_tells_what_the_audit_needs(tmp_path: Path) -> None:
    more = {"SeriesDescription": "T1 post", "Manufacturer": "ACME", "ManufacturerModelName": "M1"}
    more |= {"StudyDate": "20200102", "PatientName": "Doe^Jane", "PatientBirthDate": "19500101"}
    write_series(tmp_path, planes(), changes=more)
    header = read_header(ImageRef(tmp_path))
    assert (header.stored, header.channels, header.frames) == ("int16", 1, 1)
    facts = {"patient_id": "P7", "study_date": "20200102", "modality": "MR", "series_description": "T1 post"}
    facts |= {"manufacturer": "ACME", "model": "M1", "photometric": "MONOCHROME2", "bits": "16", "files": "5"}
    assert header.facts == facts


def test_what_is_no_slice_is_passed_over(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "s", planes())
    (tmp_path / "s" / "notes.txt").write_text("scanned on a Tuesday")
    (tmp_path / "s" / ".hidden.dcm").write_text("not an image")
    report = image_dataset(planes(1)[0])
    for tag in ("Rows", "Columns", "PixelData"):
        delattr(report, tag)
    report.file_meta.MediaStorageSOPClassUID = report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    save_dicom(tmp_path / "s" / "report.dcm", report)
    assert len(read(ImageRef(tmp_path / "s")).tensor[0, 0, 0]) == 5
    assert files_of(ImageRef(tmp_path / "s")) == tuple(sorted(paths))
    with pytest.raises(DataError, match=r"report\.dcm: a DICOM file without an image"):
        read(ImageRef(tmp_path / "s" / "report.dcm"))


def test_files_without_a_suffix_are_known_by_their_first_bytes(tmp_path: Path) -> None:
    stack = planes()
    for path in write_series(tmp_path / "1.2.840.5", stack):
        path.rename(path.with_suffix(".2.840.77"))
    assert np.array_equal(read(ImageRef(tmp_path / "1.2.840.5")).tensor[0], stack.transpose(2, 1, 0))
    assert is_image(tmp_path / "1.2.840.5")
    assert is_image(next((tmp_path / "1.2.840.5").iterdir()))
    assert stem(tmp_path / "1.2.840.5") == "1.2.840.5"
    assert not is_image(tmp_path)


def test_several_series_in_a_folder_are_listed_and_told_apart(tmp_path: Path) -> None:
    first, second = planes(3), planes(4) + 1
    write_series(tmp_path, first, changes={"SeriesDescription": "T1", "SeriesInstanceUID": "1.2.3"}, prefix="a")
    write_series(tmp_path, second, changes={"SeriesDescription": "T2", "SeriesInstanceUID": "1.2.9"}, prefix="b")
    with pytest.raises(DataError, match=r"holds 2 series.*1\.2\.3 \(T1, MR, 3 slices\); 1\.2\.9 \(T2, MR, 4 slices\)"):
        read(ImageRef(tmp_path))
    with pytest.raises(DataError, match=r"no series 1\.2\.8 among 1\.2\.3, 1\.2\.9; did you mean"):
        read(ImageRef(tmp_path, "1.2.8"))
    infos = series_in(tmp_path)
    assert [(info.uid, info.description, info.patient_id, info.shape) for info in infos] == [
        ("1.2.3", "T1", "P7", (6, 4, 3)),
        ("1.2.9", "T2", "P7", (6, 4, 4)),
    ]
    for info, stack in zip(infos, (first, second), strict=True):
        assert np.array_equal(read(info.ref).tensor[0], stack.transpose(2, 1, 0))
        assert set(files_of(info.ref)) == set(info.files)


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    paths = write_series(tmp_path, planes())
    assert read_header(ImageRef(tmp_path)).grid.shape == (6, 4, 5)
    paths[-1].unlink()
    assert read_header(ImageRef(tmp_path)).grid.shape == (6, 4, 4)


def without(index: int) -> Any:
    return [(0.0, 0.0, 3.0 * k) for k in range(6) if k != index]


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (
            without(1),
            r"slices are missing.*between \d+\.dcm at 0\.000 mm and \d+\.dcm at 6\.000 mm .* elsewhere 3\.000",
        ),
        (without(3), r"slices are missing.*at 6\.000 mm and .*at 12\.000 mm"),
        ([(0, 0, z) for z in (0, 3, 6, 6, 9)], r"1 slices lie at the position of another.*6\.000 mm along the normal"),
        ([(0, 0, z) for z in (0, 3, 6, 9, 13)], r"missing or unevenly spaced.*9\.000 mm and .* 13\.000 mm"),
        ([(x, 0, 3 * z) for z, x in enumerate((0, 0, 2, 0, 0))], r"do not lie on one line: .* lies 2\.000 mm beside"),
    ],
)
def test_slices_that_make_no_volume_are_refused(positions: Any, message: str, tmp_path: Path) -> None:
    write_series(tmp_path, planes(), positions=positions)
    with pytest.raises(DataError, match=message):
        read_header(ImageRef(tmp_path))


@pytest.mark.parametrize("count", [2, 4])
def test_slices_missing_between_all_others_are_known_by_the_spacing_that_is_told(count: int, tmp_path: Path) -> None:
    positions = [(0.0, 0.0, 10.0 * k) for k in range(count)]
    for name, between in (("lost", 5.0), ("whole", 10.0), ("rounded", 9.0)):
        change = {"SpacingBetweenSlices": between, "SliceThickness": 5.0}
        write_series(tmp_path / name, planes(count), positions=positions, changes=change)
    with pytest.raises(DataError, match=r"missing slices: they lie 10\.000 mm apart, and SpacingBetween.* 5\.000 mm"):
        read_header(ImageRef(tmp_path / "lost"))
    for name in ("whole", "rounded"):
        assert "slice_gap" not in read_header(ImageRef(tmp_path / name)).facts


@pytest.mark.parametrize(
    ("thickness", "gap"), [(5.0, True), (10 / 3, True), (10.0, False), (4.0, False), (20.0, False), (None, False)]
)
def test_a_gap_of_whole_slices_is_told(thickness: float | None, gap: bool, tmp_path: Path) -> None:
    positions = [(0.0, 0.0, 10.0 * k) for k in range(3)]
    write_series(tmp_path, planes(3), positions=positions, changes={"SliceThickness": thickness})
    told = read_header(ImageRef(tmp_path)).facts.get("slice_gap")
    assert told == (f"slices 10 mm apart and {thickness:g} mm thick" if gap else None)


def test_positions_rounded_by_the_scanner_are_even(tmp_path: Path) -> None:
    write_series(tmp_path, planes(), positions=[(0.0, 0.0, round(0.625 * k, 1)) for k in range(5)])
    assert read_header(ImageRef(tmp_path)).grid.spacing == pytest.approx((0.75, 0.5, 0.625))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"ImageOrientationPatient": [1, 0, 0, 0, 0, 1]},
            r"differ in directions: .* has \(1\.0, 0\.0, 0\.0, 0\.0, 1\.0",
        ),
        ({"PixelSpacing": [0.5, 0.8]}, r"differ in spacing: .*\(0\.5, 0\.75\), .*\(0\.5, 0\.8\)"),
        ({"Rows": 6, "Columns": 4}, r"slices of one series differ: .* has 4 rows, 6 columns.* has 6 rows, 4 columns"),
        ({"ImagePositionPatient": None}, r"does not say where it lies .*name single files"),
        ({"HighBit": 11}, r"the highest bit is 11 of 16"),
        ({"BitsStored": 12, "HighBit": 11}, r"one series differ: .* 16 bits of int16, .* 12 bits of int16"),
        ({"PixelRepresentation": 0}, r"one series differ: .* 16 bits of int16, .* 16 bits of uint16"),
        (
            {"PhotometricInterpretation": "MONOCHROME1"},
            r"one series differ: .*MONOCHROME2, .*MONOCHROME1 \(turned round",
        ),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, r"colour model PALETTE COLOR, expected greys or RGB"),
        ({"ImagePositionPatient": "1\\2"}, r"not a readable DICOM file \(ValueError: 3 numbers expected"),
    ],
)
def test_a_slice_unlike_the_others_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    write_series(tmp_path, planes(4))
    write_series(tmp_path, planes(1), positions=[(5.0, -7.0, 23.0)], changes=change, prefix="z")
    with pytest.raises(DataError, match=message):
        read_header(ImageRef(tmp_path))


@pytest.mark.parametrize("reader", [read_header, read])
def test_broken_files_are_named(reader: Any, tmp_path: Path) -> None:
    paths = write_series(tmp_path / "s", planes())
    content = paths[0].read_bytes()
    paths[0].write_bytes(content[:-7])
    with pytest.raises(DataError, match=rf"{paths[0].name}: truncated: at least 3 bytes of pixels are missing"):
        reader(ImageRef(tmp_path / "s"))
    for broken in (b"", b"hello" * 100, *(content[:size] for size in (132, 145, 200, 380, 420))):
        paths[0].write_bytes(broken)
        with pytest.raises(DataError, match=rf"{paths[0].name}: not a readable DICOM file"):
            reader(ImageRef(tmp_path / "s"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: is a folder without DICOM images, expected a file or a DICOM series"):
        reader(ImageRef(tmp_path / "empty"))


def test_segmentation_objects_are_refused(tmp_path: Path) -> None:
    dataset = image_dataset(planes(1, dtype="uint8")[0])
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
    with pytest.raises(DataError, match=r"seg\.dcm: a DICOM segmentation object"):
        read_header(ImageRef(save_dicom(tmp_path / "seg.dcm", dataset)))


def test_values_are_scaled_slice_by_slice(tmp_path: Path) -> None:
    stack = planes(2)
    for k, (slope, intercept) in enumerate(((2.0, -1024.0), (0.5, 3.0))):
        change = {"RescaleSlope": slope, "RescaleIntercept": intercept}
        write_series(tmp_path, stack[k : k + 1], positions=[(0, 0, 3.0 * k)], changes=change, prefix=str(k))
    volume = read(ImageRef(tmp_path))
    assert np.array_equal(volume.tensor[0, :, :, 0], stack[0].T * 2.0 - 1024)
    assert np.array_equal(volume.tensor[0, :, :, 1], stack[1].T * 0.5 + 3)
    assert read_header(ImageRef(tmp_path)).facts["rescale"] == "x 0.5 + 3; x 2 + -1024"


@pytest.mark.parametrize(("dtype", "bits"), [("uint16", 12), ("int16", 12), ("uint8", 8), ("int16", 16)])
def test_low_is_bright_is_turned_round(dtype: str, bits: int, tmp_path: Path) -> None:
    plane = planes(1, dtype=dtype)[0]
    change = {"PhotometricInterpretation": "MONOCHROME1"}
    path = save_dicom(tmp_path / "a.dcm", image_dataset(plane, bits=bits), change)
    expected = (2**bits - 1 if dtype[0] == "u" else -1) - plane.astype(int)
    assert np.array_equal(read(ImageRef(path)).tensor[0, :, :, 0], expected)
    assert read_header(ImageRef(path)).facts["inverted"] == "yes"


def test_measurements_are_not_turned_round(tmp_path: Path) -> None:
    plane = planes(1, dtype="uint16")[0]
    scale = {"PhotometricInterpretation": "MONOCHROME1", "RescaleSlope": 2.0, "RescaleIntercept": -1024.0}
    changes: dict[str, dict[str, Any]] = {
        "ct": {"Modality": "CT"},
        "typed": {"Modality": "DX", "RescaleType": "OD"},
        "unspecified": {"Modality": "DX", "RescaleType": "US"},
        "untyped": {"Modality": "MR"},
    }
    for name, change in changes.items():
        ref = ImageRef(save_dicom(tmp_path / f"{name}.dcm", image_dataset(plane, bits=12), scale | change))
        stored = plane.astype(float) if name in ("ct", "typed") else 4095.0 - plane
        assert np.array_equal(read(ref).tensor[0, :, :, 0], stored * 2 - 1024), name
        assert ("inverted" in read_header(ref).facts) == (name in ("unspecified", "untyped"))


def test_long_integers_are_turned_round_too(tmp_path: Path) -> None:
    plane = np.array([[0, 1, 2**31], [2**32 - 256, 2**32 - 1, 7]], dtype="uint32")
    path = save_dicom(tmp_path / "a.dcm", image_dataset(plane), {"PhotometricInterpretation": "MONOCHROME1"})
    assert np.array_equal(
        read(ImageRef(path)).tensor[0, :, :, 0], (2**32 - 1 - plane.astype("int64")).astype("float32")
    )


def test_values_behind_a_table_are_refused(tmp_path: Path) -> None:
    dataset = image_dataset(planes(1)[0])
    dataset.ModalityLUTSequence = []
    assert read(ImageRef(save_dicom(tmp_path / "empty.dcm", dataset))).tensor.shape == (1, 4, 6, 1)
    table = {"LUTDescriptor": [4, 0, 16], "ModalityLUTType": "HU", "LUTData": bytes(8)}
    dataset.ModalityLUTSequence = group(ModalityLUTSequence=table).ModalityLUTSequence
    with pytest.raises(DataError, match=r"a\.dcm: .*ModalityLUTSequence.*apply_modality_lut"):
        read_header(ImageRef(save_dicom(tmp_path / "a.dcm", dataset)))


def test_bits_above_those_in_use_are_no_part_of_a_value(tmp_path: Path) -> None:
    plane = np.array([[0x0FFF, 0xF001], [0x8000, 0x0123]], dtype="uint16")  # the upper four hold an overlay
    path = save_dicom(tmp_path / "a.dcm", image_dataset(plane, bits=12))
    assert np.array_equal(read(ImageRef(path)).tensor[0, :, :, 0], plane & 0x0FFF)
    signed = save_dicom(tmp_path / "b.dcm", image_dataset(plane, bits=12), {"PixelRepresentation": 1})
    assert np.array_equal(read(ImageRef(signed)).tensor[0, :, :, 0], [[-1, 1], [0, 0x123]])


@pytest.mark.parametrize("planar", [0, 1])
def test_colours_are_three_channels(planar: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype("uint8")
    change: dict[str, Any] = {"PlanarConfiguration": planar}
    if planar:
        change["PixelData"] = np.ascontiguousarray(np.moveaxis(pixels, -1, 0)).tobytes()
    path = save_dicom(tmp_path / "a.dcm", image_dataset(pixels), change)
    assert read_header(ImageRef(path)).channels == 3
    assert np.array_equal(read(ImageRef(path)).tensor[..., 0], np.moveaxis(pixels, -1, 0))


def test_a_lone_image_is_in_mm_where_its_pixels_have_a_size(tmp_path: Path) -> None:
    plane = planes(1)[0]
    cases = {"PixelSpacing": "mm", "ImagerPixelSpacing": "mm", "StudyDate": "pixel"}
    for tag, unit in cases.items():
        value = "20200101" if unit == "pixel" else [0.2, 0.3]
        ref = ImageRef(save_dicom(tmp_path / f"{tag}.dcm", image_dataset(plane), {tag: value}))
        volume = read(ref)
        assert volume.grid.unit == unit
        assert volume.grid.spacing == ((0.3, 0.2, 1.0) if unit == "mm" else (1.0, 1.0, 1.0))
        assert np.array_equal(volume.tensor[0, :, :, 0], plane.T if unit == "mm" else plane)
        assert mask_suffix(ref) == (".nii.gz" if unit == "mm" else ".png")


def test_one_file_of_a_series_is_a_slice_where_it_lies(tmp_path: Path) -> None:
    paths = write_series(tmp_path, planes())
    volume, whole = read(ImageRef(paths[2])), read(ImageRef(tmp_path))
    assert volume.grid.shape == (6, 4, 1)
    assert volume.grid.spacing == (0.75, 0.5, 2.0)  # the thickness, where there is no neighbour
    assert np.allclose(volume.grid.affine[:3, 3], (whole.grid.affine @ (0, 0, 2, 1))[:3])


def group(**values: Any) -> Any:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    holder = Dataset()
    for name, content in values.items():
        item = Dataset()
        for tag, value in content.items():
            setattr(item, tag, value)
        setattr(holder, name, Sequence([item]))
    return holder


def enhanced(stack: npt.NDArray[Any], heights: list[float]) -> Any:
    """A multi-frame dataset; the scaling differs from frame to frame, directions and spacing are shared."""
    from pydicom.sequence import Sequence

    dataset = image_dataset(stack, multi=True)
    dataset.SharedFunctionalGroupsSequence = Sequence(
        [
            group(
                PixelMeasuresSequence={"PixelSpacing": [0.5, 0.75], "SliceThickness": 3.0},
                PlaneOrientationSequence={"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
            )
        ]
    )
    dataset.PerFrameFunctionalGroupsSequence = Sequence(
        [
            group(
                PlanePositionSequence={"ImagePositionPatient": [1.0, 2.0, height]},
                PixelValueTransformationSequence={"RescaleSlope": k + 1, "RescaleIntercept": -k},
            )
            for k, height in enumerate(heights)
        ]
    )
    return dataset


def test_frames_of_an_enhanced_file_are_sorted_and_scaled_one_by_one(tmp_path: Path) -> None:
    stack, heights = planes(4), [6.0, 0.0, 9.0, 3.0]
    path = save_dicom(tmp_path / "multi.dcm", enhanced(stack, heights))
    volume = read(ImageRef(path))
    for k, height in enumerate(heights):
        assert np.array_equal(volume.tensor[0, :, :, int(height / 3)], stack[k].T * (k + 1) - k)
    assert np.allclose(volume.grid.affine[:3, :3], np.diag([-0.75, -0.5, 3.0]))
    assert volume.grid.affine[:3, 3].tolist() == [-1.0, -2.0, 0.0]
    assert np.array_equal(read(ImageRef(tmp_path)).tensor, volume.tensor)  # alone in a folder it is the series
    save_dicom(tmp_path / "again.dcm", enhanced(stack, heights))
    with pytest.raises(DataError, match="several files with many frames each: name one"):
        read(ImageRef(tmp_path))
    bad = save_dicom(tmp_path / "twice.dcm", enhanced(stack, [0.0, 0.0, 3.0, 3.0]))
    with pytest.raises(DataError, match=r"2 slices lie at the position of another, such as twice\.dcm frame 1"):
        read(ImageRef(bad))


def test_frames_without_a_place_are_times(tmp_path: Path) -> None:
    film = planes(3)
    path = save_dicom(tmp_path / "film.dcm", image_dataset(film, multi=True))
    assert read_header(ImageRef(path)).frames == 3
    with pytest.raises(DataError, match="3 frames"):
        read(ImageRef(path))
    assert np.array_equal(read(ImageRef(path), frames_as_channels=True).tensor[..., 0], film)
    assert np.array_equal(read(ImageRef(path, index=2)).tensor[0, :, :, 0], film[2])


def compressed(codec: str, plane: npt.NDArray[Any]) -> tuple[str, bytes]:
    """Transfer syntax and code stream of one frame."""
    import imagecodecs

    encode = {
        "jpeg2000": ("1.2.840.10008.1.2.4.90", lambda: imagecodecs.jpeg2k_encode(plane, level=0, codecformat="j2k")),
        "jpegls": ("1.2.840.10008.1.2.4.80", lambda: imagecodecs.jpegls_encode(plane)),
        "lossless": ("1.2.840.10008.1.2.4.70", lambda: imagecodecs.ljpeg_encode(plane)),
        "jpeg": ("1.2.840.10008.1.2.4.50", lambda: imagecodecs.jpeg8_encode(plane, level=90)),
    }[codec]
    return encode[0], bytes(encode[1]())


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("codec", ["jpeg2000", "jpegls", "lossless"])
def test_compression_without_loss_gives_the_same_values(codec: str, dtype: str, tmp_path: Path) -> None:
    from pydicom.encaps import encapsulate

    stack = planes(3, (16, 24), dtype=dtype)
    dataset = image_dataset(stack, multi=True)
    frames = [compressed(codec, plane) for plane in stack]
    dataset.file_meta.TransferSyntaxUID = frames[0][0]
    dataset.PixelData = encapsulate([frame for _, frame in frames])
    path = save_dicom(tmp_path / "a.dcm", dataset)
    assert np.array_equal(read(ImageRef(path), frames_as_channels=True).tensor[..., 0], stack)
    path.write_bytes(path.read_bytes()[:-80])
    with pytest.raises(DataError, match=r"a\.dcm: truncated: at least \d+ bytes of pixels"):
        read(ImageRef(path), frames_as_channels=True)


def test_run_lengths_and_big_endian_give_the_same_values(tmp_path: Path) -> None:
    plane = planes(1, (16, 24))[0]
    dataset = image_dataset(plane)
    dataset.compress("1.2.840.10008.1.2.5")
    path = save_dicom(tmp_path / "rle.dcm", dataset)
    assert np.array_equal(read(ImageRef(path)).tensor[0, :, :, 0], plane)
    swapped = image_dataset(plane)
    swapped.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.2"
    swapped.PixelData = plane.astype(">i2").tobytes()
    assert np.array_equal(read(ImageRef(save_dicom(tmp_path / "big.dcm", swapped))).tensor[0, :, :, 0], plane)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_jpeg_reads_as_the_coder_decodes_it(dtype: str, tmp_path: Path) -> None:
    from PIL import Image
    from pydicom.encaps import encapsulate

    smooth = np.add.outer(np.arange(16), np.arange(24)).astype("uint8") * 3
    pixels = smooth if dtype == "uint8" else np.stack([smooth, smooth[::-1], smooth[:, ::-1]], -1)
    _, stream = compressed("jpeg", pixels)
    dataset = image_dataset(pixels)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.50"
    dataset.PixelData = encapsulate([stream])
    change = {} if pixels.ndim == 2 else {"PhotometricInterpretation": "YBR_FULL_422"}
    path = save_dicom(tmp_path / "a.dcm", dataset, change)
    (tmp_path / "a.jpg").write_bytes(stream)
    expected = np.asarray(Image.open(tmp_path / "a.jpg")).reshape(16, 24, -1)
    found = np.moveaxis(read(ImageRef(path)).tensor[..., 0].numpy(), 0, -1)
    assert np.abs(found - expected).max() <= 2
    assert np.abs(found - pixels.reshape(expected.shape)).mean() < 4


def test_masks_of_a_series_lie_on_its_grid(tmp_path: Path) -> None:
    positions = [np.array([5.0, -7.0, 11.0]) + 2.5 * k * NORMAL for k in range(5)]
    write_series(tmp_path / "s", planes(), positions=positions, directions=OBLIQUE)
    labels = np.random.default_rng(0).integers(0, 3, (6, 4, 5))
    out = tmp_path / f"mask{mask_suffix(tmp_path / 's')}"
    write_mask_like(labels, ImageRef(tmp_path / "s"), out)
    mask = read(ImageRef(out))
    assert np.array_equal(mask.tensor[0], labels)
    assert mask.grid.matches(read_header(ImageRef(tmp_path / "s")).grid)
    assert read_header(ImageRef(out)).facts["sform_code"] == read_header(ImageRef(out)).facts["qform_code"] == "1"
    with pytest.raises(DataError, match="does not fit"):
        write_mask_like(labels[1:], tmp_path / "s", out)
    with pytest.raises(DataError, match=r"must end in \.nii\.gz"):
        write_mask_like(labels, tmp_path / "s", tmp_path / "mask.png")
