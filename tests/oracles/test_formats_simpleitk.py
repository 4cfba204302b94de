"""DICOM, MetaImage, NRRD and NIfTI against SimpleITK, voxels and affine: every real file, and generated ones."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from tests.formats.conftest import NORMAL, OBLIQUE, image_dataset, save_dicom, write_series

from hilum.case import ImageRef
from hilum.formats.reading import read, read_header

SERIES = ["hippocampus_crop_series", "head_t1post_series"]


def itk_affine(image: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """SimpleITK's geometry (LPS) as an affine in RAS."""
    count = image.GetDimension()
    used = min(count, 3)
    affine = np.eye(4)
    affine[:used, :used] = np.reshape(image.GetDirection(), (count, count))[:used, :used] * image.GetSpacing()[:used]
    affine[:used, 3] = image.GetOrigin()[:used]
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def itk_series(folder: Path) -> Any:
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def itk_voxels(image: Any) -> np.ndarray[Any, Any]:
    """Values (I, J, K[, ...])."""
    import SimpleITK

    return SimpleITK.GetArrayFromImage(image).T


@pytest.mark.parametrize("name", SERIES)
def test_real_series_read_as_simpleitk_and_nibabel_do(name: str, shared_data: Path, tmp_path: Path) -> None:
    import SimpleITK

    volume = read(ImageRef(shared_data / "dicom" / name))
    oracle = itk_series(shared_data / "dicom" / name)
    assert np.array_equal(volume.tensor[0], itk_voxels(oracle))
    assert np.allclose(volume.grid.affine, itk_affine(oracle), atol=1e-4)
    SimpleITK.WriteImage(oracle, str(tmp_path / "a.nii.gz"))
    converted: Any = nib.load(tmp_path / "a.nii.gz")
    assert np.array_equal(volume.tensor[0], np.asarray(converted.dataobj))
    assert np.allclose(volume.grid.affine, converted.affine, atol=1e-4)


def test_every_real_slice_reads_alone_as_simpleitk_does(shared_data: Path) -> None:
    import SimpleITK

    for path in sorted((shared_data / "dicom").rglob("*.dcm")):
        volume, oracle = read(ImageRef(path)), SimpleITK.ReadImage(str(path))
        assert np.array_equal(volume.tensor[0], itk_voxels(oracle)), path
        assert np.allclose(volume.grid.affine[:, [0, 1, 3]], itk_affine(oracle)[:, [0, 1, 3]], atol=1e-4), path


def test_every_real_nifti_reads_as_nibabel_and_simpleitk_do(shared_data: Path) -> None:
    import SimpleITK

    paths = [path for path in sorted(shared_data.rglob("*.nii*")) if path.is_file()]
    assert len(paths) > 400
    for path in paths:
        volume, oracle = read(ImageRef(path), frames_as_channels=True), nib.load(path)
        values = oracle.get_fdata(dtype=np.float32)  # type: ignore[attr-defined]
        values = values.reshape(*values.shape[:3], -1)
        assert np.array_equal(volume.tensor.numpy(), np.moveaxis(values, -1, 0)), path
        assert np.array_equal(volume.grid.affine, oracle.affine), path  # type: ignore[attr-defined]
        header = read_header(ImageRef(path))
        assert header.grid == volume.grid, path
        assert header.stored == oracle.get_data_dtype().name, path  # type: ignore[attr-defined]
        second = SimpleITK.ReadImage(str(path))
        assert np.allclose(volume.grid.affine, itk_affine(second), atol=2e-3), path
        found = itk_voxels(second).reshape(*volume.grid.shape, -1)
        assert np.allclose(volume.tensor, np.moveaxis(found, -1, 0), rtol=1e-6), path


@pytest.mark.parametrize("suffix", [".mha", ".mhd", ".nrrd", ".nhdr"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_written_by_simpleitk_reads_the_same(dtype: str, compressed: bool, suffix: str, tmp_path: Path) -> None:
    import SimpleITK

    array = np.random.default_rng(0).integers(0, 250, (4, 5, 6)).astype(dtype)
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing((0.8, 0.9, 3.5))
    image.SetOrigin((-12.5, 7.0, 101.0))
    image.SetDirection(np.array([OBLIQUE[:3], OBLIQUE[3:], NORMAL]).T.ravel().tolist())
    path = tmp_path / f"a{suffix}"
    SimpleITK.WriteImage(image, str(path), compressed)
    volume = read(ImageRef(path))
    assert np.array_equal(volume.tensor[0], array.T.astype("float32"))
    assert np.allclose(volume.grid.affine, itk_affine(image), atol=1e-6)
    assert read_header(ImageRef(path)).stored == dtype


@pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
@pytest.mark.parametrize("kind", ["flat", "vector", "flat vector", "series"])
def test_other_dimensions_written_by_simpleitk_read_the_same(kind: str, suffix: str, tmp_path: Path) -> None:
    import SimpleITK

    shape = {"flat": (5, 6), "vector": (4, 5, 6, 2), "flat vector": (5, 6, 3), "series": (3, 4, 5, 6)}[kind]
    array = np.random.default_rng(0).integers(0, 250, shape).astype("int16")
    image = SimpleITK.GetImageFromArray(array, isVector="vector" in kind)
    image.SetSpacing([0.5, 0.75, 2.0, 1.0][: image.GetDimension()])
    path = tmp_path / f"a{suffix}"
    SimpleITK.WriteImage(image, str(path))
    volume = read(ImageRef(path), frames_as_channels=True)
    header = read_header(ImageRef(path))
    assert (header.channels, header.frames) == {
        "flat": (1, 1),
        "vector": (2, 1),
        "flat vector": (3, 1),
        "series": (1, 3),
    }[kind]
    expected = array.T.reshape(6, 5, *([4] if len(shape) > 3 else [1]), -1) if "vector" not in kind else None
    if expected is None:
        expected = np.moveaxis(array, -1, 0).T.reshape(6, 5, -1, array.shape[-1])
    assert np.array_equal(volume.tensor, np.moveaxis(expected, -1, 0))
    assert np.allclose(volume.grid.affine, itk_affine(image))


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (1.0, -1024.0), (0.25, 3.5)])
def test_a_generated_series_reads_the_same(slope: float, intercept: float, tmp_path: Path) -> None:
    stack = np.random.default_rng(0).integers(-500, 500, (5, 7, 6)).astype("int16")
    positions = [(np.array([5.0, -7.0, 11.0]) + 2.5 * k * NORMAL).tolist() for k in range(5)]
    scale = {"RescaleSlope": slope, "RescaleIntercept": intercept}
    write_series(tmp_path, stack, positions=positions, directions=OBLIQUE, changes=scale)
    volume, oracle = read(ImageRef(tmp_path)), itk_series(tmp_path)
    assert np.array_equal(volume.tensor[0], itk_voxels(oracle))
    assert np.allclose(volume.grid.affine, itk_affine(oracle), atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("codec", ["jpeg2k", "jpegls", "ljpeg", "rle"])
def test_compressed_pixels_read_the_same(codec: str, dtype: str, tmp_path: Path) -> None:
    import imagecodecs
    import SimpleITK
    from pydicom.encaps import encapsulate

    plane = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (16, 24)).astype(dtype)
    dataset = image_dataset(plane)
    dataset.PixelSpacing = [0.5, 0.75]
    if codec == "rle":
        dataset.compress("1.2.840.10008.1.2.5")
    else:
        syntax = {"jpeg2k": "90", "jpegls": "80", "ljpeg": "70"}[codec]
        dataset.file_meta.TransferSyntaxUID = f"1.2.840.10008.1.2.4.{syntax}"
        options: dict[str, Any] = {"codecformat": "j2k", "level": 0} if codec == "jpeg2k" else {}
        dataset.PixelData = encapsulate([bytes(getattr(imagecodecs, f"{codec}_encode")(plane, **options))])
    path = save_dicom(tmp_path / "a.dcm", dataset)
    volume, oracle = read(ImageRef(path)), SimpleITK.ReadImage(str(path))
    assert np.array_equal(volume.tensor[0], itk_voxels(oracle))


@pytest.mark.parametrize(("dtype", "bits"), [("uint16", 12), ("int16", 16), ("uint8", 8)])
def test_low_is_bright_is_turned_round_as_there(dtype: str, bits: int, tmp_path: Path) -> None:
    import SimpleITK

    low = -100 if dtype[0] == "i" else 0
    plane = np.random.default_rng(0).integers(low, 100, (5, 6)).astype(dtype)
    dataset = image_dataset(plane, bits=bits)
    change = {"PhotometricInterpretation": "MONOCHROME1", "PixelSpacing": [0.5, 0.75]}
    path = save_dicom(tmp_path / "a.dcm", dataset, change)
    assert np.array_equal(read(ImageRef(path)).tensor[0], itk_voxels(SimpleITK.ReadImage(str(path))))


def test_colours_read_the_same(tmp_path: Path) -> None:
    import SimpleITK

    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype("uint8")
    path = save_dicom(tmp_path / "a.dcm", image_dataset(pixels), {"PixelSpacing": [0.5, 0.75]})
    expected = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    volume = read(ImageRef(path))
    assert np.array_equal(volume.tensor.numpy(), expected.reshape(1, 5, 6, 3).transpose(3, 2, 1, 0))
