"""Canonical orientation against nibabel."""

import itertools

import nibabel
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from hilum.volume import Grid, Volume, resample


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (1, -1, -1), (-1, -1, -1)])
def test_canonical_is_the_closest_canonical_of_nibabel(axes: tuple[int, ...], signs: tuple[int, ...]) -> None:
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", (12, -20, 8), degrees=True).as_matrix()
    affine[:3, :3] = turn @ (np.eye(3)[:, list(axes)] * signs * (3.0, 0.8, 1.1))
    affine[:3, 3] = (-11.0, 4.0, 30.0)
    values = np.random.default_rng(1).normal(size=(5, 7, 6)).astype(np.float32)
    grid = Grid((5, 7, 6), affine)
    expected = nibabel.as_closest_canonical(nibabel.Nifti1Image(values, affine))
    ours = resample(Volume(torch.from_numpy(values)[None], grid), grid.canonical())
    np.testing.assert_array_equal(ours.tensor[0], np.asarray(expected.dataobj))
    np.testing.assert_allclose(ours.grid.affine, expected.affine, atol=1e-6)
    assert ours.grid.orientation == ("R", "A", "S")
