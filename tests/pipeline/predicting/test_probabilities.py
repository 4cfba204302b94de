"""Probabilities that come in pieces lie in one file on the grid of their image, as nibabel and SimpleITK read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import nibabel as nib
import numpy as np
import pytest
import torch
from tests.formats.conftest import OBLIQUE, write_series
from tests.oracles.test_formats_simpleitk import itk_affine, itk_series

from hilum.case import ImageRef
from hilum.inference.section import Stored
from hilum.pipeline.predicting import probabilities
from hilum.pipeline.predicting.probabilities import Store
from hilum.problem import Problem

SHAPE = (7, 5, 6)
CLASSES = Problem("segmentation", 3, ("image",), ("background", "größe", "core"), ((0,), (1,), (2,)))
REGIONS = Problem("segmentation", 3, ("image",), ("whole", "core"), ((1, 2), (2,)), exclusive=False)
STEP = {"float32": 1e-7, "uint16": 1 / 65535, "uint8": 1 / 255}


def drawn(count: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Random probabilities (C, *shape) that sum up to 1."""
    values = np.random.default_rng(1).gamma(0.5, size=(count, *shape)).astype(np.float32)
    return np.asarray(values / values.sum(0))


def filled(store: Store, values: np.ndarray, seen: np.ndarray) -> Store:
    """The store after visits of the voxels of a mask, in pieces and in no particular order."""
    places = np.random.default_rng(2).permutation(np.flatnonzero(seen))
    flat = torch.from_numpy(values).flatten(1)
    for piece in np.array_split(places, 4):
        store.visit(torch.from_numpy(piece), flat[:, piece])
    return store


def nifti_scan(file: Path, **changes: Any) -> Path:
    affine = np.array([[0.0, -2.0, 0.1, 9], [1.5, 0, 0, -4], [0, 0.1, 3.0, 7], [0, 0, 0, 1]])
    header = nib.Nifti1Header(endianness=">")
    header.set_xyzt_units("micron", "msec")
    image = nib.Nifti1Image(np.zeros(SHAPE, np.int16), affine, header)
    image.set_sform(affine, code=2)
    image.set_qform(affine, code=3)
    nib.save(image, file)
    return file


@pytest.mark.parametrize("stored", get_args(Stored))
@pytest.mark.parametrize("problem", [CLASSES, REGIONS], ids=["classes", "regions"])
def test_what_was_visited_is_read_back_and_elsewhere_is_background(
    problem: Problem, stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probabilities, "HELD_BYTES", 64)  # slabs and pieces of one plane or row each
    scan = nifti_scan(tmp_path / "scan.nii.gz")
    values, seen = drawn(problem.num_outputs), np.zeros(SHAPE, bool)
    seen[1:6, :4, 2:] = True
    store = filled(Store(problem, SHAPE, stored=stored, folder=tmp_path / "out"), values, seen)
    assert list((tmp_path / "out").iterdir()) == []  # a killed process leaves nothing
    store.write(ImageRef(scan), tmp_path / "out" / "scan.nii.gz")
    found: Any = nib.load(tmp_path / "out" / "scan.nii.gz")
    assert found.get_data_dtype().name == stored
    outside = np.zeros_like(values)
    outside[0] = float(problem.exclusive)
    expected = np.where(seen, values, outside)
    assert (
        np.abs(np.moveaxis(found.get_fdata(), 3, 0) - expected).max() <= 0.5 * STEP[stored] + 1e-7
    )  # scl_slope is float32
    (comment,) = found.header.extensions
    assert json.loads(comment.content.rstrip(b"\0")) == {"channels": list(problem.classes)}


def test_the_geometry_is_that_of_the_image_to_the_last_bit(tmp_path: Path) -> None:
    scan = nifti_scan(tmp_path / "scan.nii")
    Store(CLASSES, SHAPE, stored="uint8", folder=tmp_path).write(ImageRef(scan), tmp_path / "p.nii")
    kind = nib.Nifti1Header.template_dtype.newbyteorder(">")
    ours, theirs = (np.frombuffer(file.read_bytes()[:348], kind)[0] for file in (tmp_path / "p.nii", scan))
    places = (
        "quatern_b",
        "quatern_c",
        "quatern_d",
        "qoffset_x",
        "qoffset_y",
        "qoffset_z",
        "srow_x",
        "srow_y",
        "srow_z",
    )
    for field in ("sform_code", "qform_code", *places):
        assert ours[field].tobytes() == theirs[field].tobytes(), field
    assert ours["pixdim"][:4].tobytes() == theirs["pixdim"][:4].tobytes()
    assert ours["dim"].tolist() == [4, *SHAPE, 3, 1, 1, 1]
    assert nib.Nifti1Header(ours.tobytes(), endianness=">", check=False).get_xyzt_units() == ("micron", "unknown")


def test_a_dicom_series_gives_its_place_as_simpleitk_has_it(tmp_path: Path) -> None:
    import SimpleITK

    normal = np.cross(OBLIQUE[:3], OBLIQUE[3:])
    positions = [np.array([5.0, -7.0, 11.0]) + 2.5 * k * normal for k in range(6)]
    write_series(tmp_path / "s", np.zeros((6, 5, 7), np.int16), positions=positions, directions=OBLIQUE)
    values = drawn(3)
    store = filled(Store(CLASSES, SHAPE, stored="float32", folder=tmp_path), values, np.ones(SHAPE, bool))
    store.write(ImageRef(tmp_path / "s"), tmp_path / "p.nii.gz")
    found = SimpleITK.ReadImage(str(tmp_path / "p.nii.gz"))
    assert np.array_equal(SimpleITK.GetArrayFromImage(found).T, np.moveaxis(values, 0, 3))
    assert np.allclose(itk_affine(found)[:3], itk_affine(itk_series(tmp_path / "s"))[:3], atol=1e-4)


def test_a_picture_has_neither_place_nor_unit(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.zeros((7, 5), np.uint8)).save(tmp_path / "a.png")
    values = drawn(3, (7, 5, 1))
    store = filled(Store(CLASSES, (7, 5, 1), stored="float32", folder=tmp_path), values, np.ones((7, 5, 1), bool))
    store.write(ImageRef(tmp_path / "a.png"), tmp_path / "p.nii.gz")
    found: Any = nib.load(tmp_path / "p.nii.gz")
    assert np.array_equal(np.asarray(found.dataobj), np.moveaxis(values, 0, 3))
    assert (int(found.header["sform_code"]), int(found.header["qform_code"])) == (0, 0)
    assert found.header.get_xyzt_units() == ("unknown", "unknown")


def test_the_same_numbers_give_the_same_bytes(tmp_path: Path) -> None:
    scan = ImageRef(nifti_scan(tmp_path / "scan.nii.gz"))
    for name in ("one.nii.gz", "two.nii.gz"):
        store = filled(Store(CLASSES, SHAPE, stored="float32", folder=tmp_path), drawn(3), np.ones(SHAPE, bool))
        store.write(scan, tmp_path / name)
    assert (tmp_path / "one.nii.gz").read_bytes() == (tmp_path / "two.nii.gz").read_bytes()
