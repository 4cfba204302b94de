"""NIfTI volumes against nibabel and SimpleITK: every real file, every generated header variant, and phantoms."""

from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
import pytest

from hilum.case import ImageRef
from hilum.formats.reading import read, read_header, read_mask
from hilum.formats.writing import write_mask_like
from hilum.sources.phantom import PhantomConfig

REAL = [
    *(f"nifti_misc/nibabel/{name}" for name in ("anatomical.nii", "example4d.nii.gz", "functional.nii")),
    "nifti_misc/nibabel/someones_anatomy.nii.gz",
    *(f"nifti_misc/sct_testing_data/{name}.nii.gz" for name in ("dmri", "fmri", "t1w", "t1w_seg-manual", "t2")),
    *(f"nifti_misc/sct_testing_data/{name}.nii.gz" for name in ("t2_fake_lesion", "t2_seg-manual", "t2s_uncropped")),
    *(f"nifti_misc/torchio-data/{name}.nii.gz" for name in ("dmri_oeslle", "t2")),
    *(
        f"brats2015/brats_2013_pat0001_1/{name}.nii.gz"
        for name in ("Flair_subtrMeanDivStd", "OTMultiClass", "brainmask")
    ),
    *(f"Task04_Hippocampus/imagesTr/hippocampus_{number:03d}.nii.gz" for number in (1, 3, 190)),
    *(f"Task04_Hippocampus/labelsTr/hippocampus_{number:03d}.nii.gz" for number in (1, 3, 190)),
]
MASKS = [name for name in REAL if any(word in name for word in ("labelsTr", "OTMulti", "brainmask", "seg-manual"))]


def itk_affine(image: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """SimpleITK's geometry (LPS) as an affine in RAS."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (-1, image.GetDimension()))[:3, :3] * image.GetSpacing()[:3]
    affine[:3, 3] = image.GetOrigin()[:3]
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


@pytest.mark.parametrize("name", REAL)
def test_real_volumes_read_as_nibabel_reads_them(name: str, shared_data: Path) -> None:
    oracle: Any = nib.load(shared_data / name)
    volume = read(ImageRef(shared_data / name), frames_as_channels=True)
    expected = oracle.get_fdata(dtype=np.float32)
    assert np.array_equal(volume.tensor.numpy(), np.moveaxis(expected.reshape(*expected.shape[:3], -1), -1, 0))
    assert np.array_equal(volume.grid.affine, oracle.affine)
    header = read_header(ImageRef(shared_data / name))
    assert header.grid == volume.grid
    assert header.channels * header.frames == len(volume.tensor)


@pytest.mark.parametrize("name", REAL)
def test_real_volumes_lie_where_simpleitk_puts_them(name: str, shared_data: Path) -> None:
    import SimpleITK

    oracle = SimpleITK.ReadImage(str(shared_data / name))
    volume = read(ImageRef(shared_data / name), frames_as_channels=True)
    assert np.allclose(volume.grid.affine, itk_affine(oracle), atol=2e-3)
    voxels = SimpleITK.GetArrayFromImage(oracle).T.reshape(*volume.grid.shape, -1)
    assert np.allclose(volume.tensor, np.moveaxis(voxels, -1, 0), rtol=1e-6)


@pytest.mark.parametrize("name", MASKS)
def test_real_masks_are_whole_numbers(name: str, shared_data: Path) -> None:
    expected = np.rint(nib.load(shared_data / name).get_fdata())  # type: ignore[attr-defined]
    assert np.array_equal(read_mask(ImageRef(shared_data / name)).tensor[0], expected)


@pytest.mark.parametrize("name", REAL)
def test_masks_of_real_volumes_lie_where_the_volumes_do(name: str, shared_data: Path, tmp_path: Path) -> None:
    import SimpleITK

    source: Any = nib.load(shared_data / name)
    labels = np.random.default_rng(0).integers(0, 5, source.shape[:3])
    write_mask_like(labels, shared_data / name, tmp_path / "mask.nii.gz")
    written: Any = nib.load(tmp_path / "mask.nii.gz")
    assert np.array_equal(written.affine, source.affine)
    for form in ("get_sform", "get_qform"):
        (expected, expected_code), (found, code) = (
            getattr(image.header, form)(coded=True) for image in (source, written)
        )
        assert code == expected_code
        assert (expected is None and found is None) or np.array_equal(found, expected)
    assert written.header.get_xyzt_units() == source.header.get_xyzt_units()
    assert np.array_equal(written.header["pixdim"], source.header["pixdim"])
    assert np.array_equal(np.asanyarray(written.dataobj), labels)
    itk = SimpleITK.ReadImage(str(tmp_path / "mask.nii.gz"))
    assert np.array_equal(SimpleITK.GetArrayFromImage(itk).T, labels)


FORMS = {"both": (1, 1), "sform": (2, 0), "qform": (0, 1), "none": (0, 0)}


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("endianness", ["<", ">"])
@pytest.mark.parametrize("forms", FORMS)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32", "float64"])
def test_generated_headers_read_as_nibabel_and_simpleitk_do(
    dtype: str, forms: str, endianness: Literal["<", ">"], scaled: bool, tmp_path: Path
) -> None:
    import SimpleITK

    array = np.random.default_rng(0).integers(0, 100, (4, 5, 6)).astype(dtype)
    header = nib.Nifti1Header(endianness=endianness)
    header.set_data_dtype(np.dtype(dtype).newbyteorder(endianness))
    header.set_data_shape(array.shape)
    turn = np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, -1.0]]) * (0.8, 0.8, 3.0)  # oblique, flipped, anisotropic
    affine = np.block([[turn, np.array([[-7.0], [11.0], [13.0]])], [np.zeros((1, 3)), np.ones((1, 1))]])
    header.set_qform(affine, code=FORMS[forms][1])
    header.set_sform(affine, code=FORMS[forms][0])
    header.set_xyzt_units("mm")
    if scaled:
        header["scl_slope"], header["scl_inter"] = 0.25, -10.0
    head = header.binaryblock.ljust(352, b"\0")
    header["vox_offset"], header["magic"] = 352, b"n+1"
    head = header.binaryblock.ljust(352, b"\0")
    path = tmp_path / "volume.nii"
    path.write_bytes(head + array.astype(np.dtype(dtype).newbyteorder(endianness)).tobytes(order="F"))

    volume = read(ImageRef(path))
    oracle: Any = nib.load(path)
    assert np.allclose(volume.tensor[0], array * 0.25 - 10 if scaled else array)
    assert np.array_equal(volume.tensor[0], oracle.get_fdata(dtype=np.float32))
    assert np.array_equal(volume.grid.affine, oracle.affine)
    itk = SimpleITK.ReadImage(str(path))
    assert np.allclose(SimpleITK.GetArrayFromImage(itk).T, volume.tensor[0])
    if forms != "none":  # without a form nibabel centres the volume, ITK leaves its corner at the origin
        assert np.allclose(volume.grid.affine, itk_affine(itk), atol=1e-4)
        assert np.allclose(volume.grid.affine, affine, atol=1e-5)


def test_phantoms_lie_where_simpleitk_puts_them(tmp_path: Path) -> None:
    import SimpleITK

    cohort = PhantomConfig(folder=tmp_path / "phantom", patients=6, spacing_mm=5.0).cohort("segmentation")
    for case in cohort.cases:
        itk = SimpleITK.ReadImage(str(case.files[0].path))
        volume = read(case.files[0])
        assert np.allclose(volume.grid.affine, itk_affine(itk), atol=1e-3)
        assert np.array_equal(SimpleITK.GetArrayFromImage(itk).T, volume.tensor[0])
