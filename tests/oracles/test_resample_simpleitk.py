"""Resampling against SimpleITK: values and world positions, on oblique, flipped and permuted grids."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from hilum.volume import Grid, Volume, resample

sitk = pytest.importorskip("SimpleITK")
LPS_FROM_RAS = np.diag((-1.0, -1.0, 1.0))


def grid(
    shape: tuple[int, int, int],
    spacing: tuple[float, ...],
    axes: tuple[int, ...],
    turn: tuple[float, ...],
    shift: tuple[float, ...] = (0, 0, 0),
) -> Grid:
    """A grid about the origin: axes (1-based, negative = flipped) of a turned frame."""
    columns = np.zeros((3, 3))
    for column, axis in enumerate(axes):
        columns[abs(axis) - 1, column] = np.sign(axis)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix() @ columns * spacing
    affine[:3, 3] = affine[:3, :3] @ (-(np.array(shape) - 1) / 2) + shift
    return Grid(shape, affine)


def to_itk(values: np.ndarray, place: Grid) -> Any:
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.T))
    affine = LPS_FROM_RAS @ place.affine[:3]
    image.SetSpacing(place.spacing)
    image.SetOrigin(affine[:, 3])
    image.SetDirection((affine[:, :3] / place.spacing).ravel())
    return image


SOURCES = {
    "straight": grid((20, 24, 16), (1.0, 1.0, 1.5), (1, 2, 3), (0, 0, 0)),
    "flipped": grid((20, 24, 16), (1.0, 1.0, 1.5), (-1, -2, 3), (0, 0, 0)),
    "oblique": grid((8, 30, 28), (3.0, 0.8, 0.8), (-3, 1, -2), (25, -10, 40)),
    "cyclic": grid((26, 9, 25), (0.8, 3.0, 0.8), (2, -3, 1), (5, 15, -20)),
}
TARGETS = {  # shifted, because halfway between two voxels either is right
    "straight": grid((18, 17, 19), (1.1, 1.1, 1.1), (1, 2, 3), (0, 0, 0), (3.13, -2.21, 7.07)),
    "permuted": grid((15, 12, 11), (1.0, 1.3, 1.7), (3, -1, 2), (0, 0, 0), (3.13, -2.21, 7.07)),
    "oblique": grid((14, 15, 16), (1.2, 0.9, 1.1), (-2, 3, 1), (-35, 20, 10), (0.31, 4.17, 6.11)),
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_values_are_those_of_simpleitk(source: Grid, target: Grid) -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=source.shape).astype(np.float32)
    volume = Volume(torch.from_numpy(values)[None], source)
    reference = to_itk(np.zeros(target.shape, np.float32), target)
    for mode, method in (("linear", sitk.sitkLinear), ("nearest", sitk.sitkNearestNeighbor)):
        expected = sitk.GetArrayFromImage(
            sitk.Resample(to_itk(values, source), reference, sitk.Transform(), method, -9.0)
        ).T
        ours = resample(volume, target, mode, antialias=False, outside=-9.0).tensor[0].numpy()  # type: ignore[arg-type]
        np.testing.assert_allclose(ours, expected, atol=1e-3)
        assert 0 < (ours == -9.0).mean() < 0.9


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_canonical_orientation_is_that_of_simpleitk(source: Grid) -> None:
    values = np.random.default_rng(5).normal(size=source.shape).astype(np.float32)
    ours = resample(Volume(torch.from_numpy(values)[None], source), source.canonical())
    oriented = sitk.DICOMOrient(to_itk(values, source), "RAS")  # ITK 5.4: letters say where each axis points from
    if ours.grid.shape != oriented.GetSize() or not np.array_equal(ours.tensor[0], sitk.GetArrayFromImage(oriented).T):
        oriented = sitk.DICOMOrient(to_itk(values, source), "LPI")
    np.testing.assert_array_equal(ours.tensor[0], sitk.GetArrayFromImage(oriented).T)
    np.testing.assert_allclose(LPS_FROM_RAS @ ours.grid.affine[:3, 3], oriented.GetOrigin(), atol=1e-6)
