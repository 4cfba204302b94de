"""Anti-aliased resampling against SciPy: a Gaussian filter, then interpolation of the filtered volume."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial.transform import Rotation

from hilum.volume import Grid, Volume, resample

SOURCE = Grid((40, 36, 30), np.diag((0.8, 0.8, 3.0, 1.0)))


def turned(spacing: tuple[float, float, float]) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (20, 30, -10), degrees=True).as_matrix() * spacing
    affine[:3, 3] = (6.0, 7.0, 20.0)
    return Grid((9, 8, 7), affine)


@pytest.mark.parametrize(
    "target",
    [
        SOURCE.respaced((2.0, 1.1, 3.0)),
        SOURCE.respaced((0.5, 4.0, 7.0)),
        SOURCE.resized((13, 50, 4)),
        turned((2.0, 2.0, 2.0)),
    ],
    ids=["two coarser", "one finer", "resized", "oblique"],
)
def test_antialiased_linear_is_a_gaussian_then_interpolation(target: Grid) -> None:
    values = np.random.default_rng(7).normal(size=SOURCE.shape)
    index_map = np.linalg.solve(SOURCE.affine, target.affine)
    ratios = np.sqrt((index_map[:3, :3] ** 2).sum(1))
    sigmas = [math.sqrt(max(0.0, ratio**2 - 1) / (8 * math.log(2))) for ratio in ratios]
    smooth = gaussian_filter(values, sigmas, mode="nearest", truncate=4.0)
    index = index_map @ np.vstack([np.indices(target.shape).reshape(3, -1), np.ones(math.prod(target.shape))])
    expected = map_coordinates(smooth, index[:3], order=1, mode="nearest").reshape(target.shape)
    ours = resample(Volume(torch.from_numpy(values).float()[None], SOURCE), target)
    np.testing.assert_allclose(ours.tensor[0], expected, atol=2e-5)
