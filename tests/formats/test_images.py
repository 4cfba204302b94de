"""Float images on the grid of the image they were made from, in every format."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.formats.images import image_suffix, write_image_like
from hilum.formats.reading import read_image as read_refs
from hilum.volume import Volume

VALUES = np.random.default_rng(0).normal(0, 1e3, (1, 5, 4, 3)).astype(np.float32)


def read_image(files: tuple[Path, ...]) -> Volume:
    return read_refs([ImageRef(file) for file in files])


@pytest.mark.parametrize("order", ["<", ">"])
def test_nifti_keeps_its_geometry_to_the_last_bit(tmp_path: Path, order: str) -> None:
    affine = np.array([[0.9, 0.1, 0, -20], [-0.1, 0.8, 0.2, 5], [0, -0.2, 3, 7], [0, 0, 0, 1]])
    header = nib.Nifti1Header(endianness=order)
    like = nib.Nifti1Image(np.zeros((5, 4, 3), np.int16), affine, header)
    like.set_sform(affine, 2)
    like.header.set_xyzt_units("micron")
    like.header.set_slope_inter(2.0, 10.0)
    nib.save(like, tmp_path / "like.nii.gz")
    out = tmp_path / f"out{image_suffix(tmp_path / 'like.nii.gz')}"
    write_image_like(VALUES, tmp_path / "like.nii.gz", out)
    expected, written = nib.load(tmp_path / "like.nii.gz"), nib.load(out)
    assert isinstance(expected, nib.Nifti1Image)
    assert isinstance(written, nib.Nifti1Image)
    np.testing.assert_array_equal(np.asarray(written.dataobj), VALUES[0])
    assert written.get_data_dtype().newbyteorder("=") == np.float32
    assert written.affine.tobytes() == expected.affine.tobytes()
    for field in ("qform_code", "sform_code", "xyzt_units", "quatern_b", "qoffset_x"):
        assert written.header[field] == expected.header[field]
    assert int(written.header["intent_code"]) == 0


def test_several_channels_are_read_back(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((5, 4, 3, 1, 2), np.float32), np.eye(4)), tmp_path / "like.nii.gz")
    values = np.concatenate([VALUES, -VALUES])
    write_image_like(values, tmp_path / "like.nii.gz", tmp_path / "out.nii.gz")
    np.testing.assert_array_equal(read_image((tmp_path / "out.nii.gz",)).tensor.numpy(), values)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_become_float_tiff(tmp_path: Path, channels: int) -> None:
    shape = (6, 5) if channels == 1 else (6, 5, 3)
    Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / "like.png")
    values = np.random.default_rng(1).normal(0, 1, (channels, 6, 5, 1)).astype(np.float32)
    assert image_suffix(tmp_path / "like.png") == ".tif"
    write_image_like(values, tmp_path / "like.png", tmp_path / "out.tif")
    np.testing.assert_array_equal(read_image((tmp_path / "out.tif",)).tensor.numpy(), values)


def test_arrays_stay_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "like.npy", np.zeros((3, 5, 4), np.uint8))
    shape = read_image((tmp_path / "like.npy",)).tensor.shape
    values = np.random.default_rng(2).normal(0, 1, shape).astype(np.float32)
    write_image_like(values, tmp_path / "like.npy", tmp_path / "out.npy")
    assert np.load(tmp_path / "out.npy").shape == (3, 5, 4)
    np.testing.assert_array_equal(read_image((tmp_path / "out.npy",)).tensor.numpy(), values)


def test_another_shape_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((6, 6), np.uint8)).save(tmp_path / "like.png")
    with pytest.raises(DataError, match="does not fit"):
        write_image_like(VALUES, tmp_path / "like.png", tmp_path / "out.tif")
