"""What the browser gets is what nibabel reads back, and outlines are what erosion leaves over."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from hilum.report.viewer.volumes import as_nifti, outlined
from hilum.volume import Grid

OBLIQUE = np.array([[0.9, 0.1, 0, 5], [-0.1, 1.8, 0.2, -7], [0, -0.2, 2.9, 11], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_a_volume_is_read_back_with_its_place(kind: type) -> None:
    values: np.ndarray = np.random.default_rng(0).integers(0, 90, (5, 6, 7)).astype(kind)
    image = nib.Nifti1Image.from_bytes(as_nifti(values, Grid((5, 6, 7), OBLIQUE)))
    assert np.array_equal(np.asanyarray(image.dataobj), values)
    assert image.get_data_dtype() == kind
    assert np.allclose(image.affine, OBLIQUE, atol=1e-6)


def test_a_picture_stands_upright() -> None:
    """First axis down in the picture; in the browser the first axis runs to the right and the second one up."""
    values = np.arange(12, dtype=np.int16).reshape(3, 4, 1)
    image = nib.Nifti1Image.from_bytes(as_nifti(values, Grid((3, 4, 1), np.eye(4), "pixel")))
    shown = np.asanyarray(image.dataobj)
    assert shown.shape == (4, 3, 1)
    assert shown[0, -1, 0] == values[0, 0, 0]
    assert shown[-1, -1, 0] == values[0, -1, 0]
    assert shown[0, 0, 0] == values[-1, 0, 0]


def test_a_picture_in_colour_keeps_its_colours() -> None:
    values = np.random.default_rng(1).integers(0, 256, (3, 4, 5, 1)).astype(np.float32)
    image = nib.Nifti1Image.from_bytes(as_nifti(values, Grid((4, 5, 1), np.eye(4), "pixel")))
    shown = np.asanyarray(image.dataobj)
    for name, channel in zip("RGB", values, strict=True):
        assert np.array_equal(shown[name][:, ::-1, 0], channel[:, :, 0].T)


@pytest.mark.parametrize("shape", [(9, 8, 7), (9, 8, 1), (1, 1, 6)])
def test_an_outline_is_a_structure_less_its_erosion(shape: tuple[int, int, int]) -> None:
    coarse = np.random.default_rng(2).integers(0, 3, (3, 3, 3), dtype=np.uint8)
    labels = np.kron(coarse, np.ones((3, 3, 3), dtype=np.uint8))[: shape[0], : shape[1], : shape[2]].astype(np.uint8)
    cross = ndimage.generate_binary_structure(3, 1)
    for axis, size in enumerate(shape):
        if size == 1:
            cross = np.where(np.moveaxis(np.arange(3)[:, None, None] == 1, 0, axis), cross, False)
    expected = np.zeros(shape, dtype=np.uint8)
    for label in (1, 2):
        inside = labels == label
        expected[inside & ~ndimage.binary_erosion(inside, cross)] = label
    assert np.array_equal(outlined(labels), expected)
