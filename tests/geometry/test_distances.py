"""Distances against SciPy's transform and all pairs of points."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist

from hilum.geometry import distances as subject
from hilum.geometry.distances import Surfaces, distance_to, surface_distances
from hilum.geometry.surfaces import surface

SPACINGS = [(1.0, 1.0, 1.0), (0.8, 0.8, 3.0), (2.5, 0.3, 1.1)]


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("shape", [(9, 11, 7), (13, 12, 1), (1, 5, 6)])
def test_distance_to_a_structure_is_scipys(shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    mask = np.random.default_rng(0).random(shape) < 0.05
    mask[0, 0, 0] = True
    np.testing.assert_allclose(
        distance_to(mask, spacing), ndimage.distance_transform_edt(~mask, sampling=spacing), rtol=1e-6, atol=1e-5
    )


def test_distance_far_away_stays_exact() -> None:
    mask = np.zeros((400, 300, 3), dtype=bool)
    mask[0, 0, 0] = True
    assert distance_to(mask, (0.7, 0.9, 5.0))[-1, -1, -1] == pytest.approx(
        np.hypot(np.hypot(279.3, 269.1), 10), abs=1e-3
    )


def test_distance_to_nothing_is_infinite() -> None:
    assert np.isinf(distance_to(np.zeros((3, 4, 5), dtype=bool), (1, 1, 1))).all()


def test_distance_of_a_view_that_is_not_contiguous() -> None:
    mask = np.random.default_rng(3).random((6, 7, 8)) < 0.1
    view = mask.transpose(2, 0, 1)[::-1]
    expected = ndimage.distance_transform_edt(~view, sampling=(3, 1, 2))
    np.testing.assert_allclose(distance_to(view, (3, 1, 2)), expected, rtol=1e-6)


@pytest.mark.parametrize("voxels_worth_a_point", [0, 10**9], ids=["tree", "transform"])
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("density", [0.01, 0.3, 0.9])
def test_surface_distances_are_those_of_all_pairs(
    monkeypatch: pytest.MonkeyPatch, density: float, spacing: tuple[float, ...], voxels_worth_a_point: int
) -> None:
    monkeypatch.setattr(subject, "VOXELS_WORTH_A_POINT", voxels_worth_a_point)
    rng = np.random.default_rng(7)
    first, second = rng.random((2, 10, 9, 8)) < density
    found = surface_distances(first, second, spacing)
    one, two = (np.argwhere(surface(mask, (0, 1, 2))) * spacing for mask in (first, second))
    pairs = cdist(one, two)
    np.testing.assert_allclose(np.sort(found.first_to_second), np.sort(pairs.min(1)), atol=1e-5)
    np.testing.assert_allclose(np.sort(found.second_to_first), np.sort(pairs.min(0)), atol=1e-5)


def test_surface_distances_need_two_structures() -> None:
    empty, full = np.zeros((3, 3, 3), dtype=bool), np.ones((3, 3, 3), dtype=bool)
    for pair in ((empty, full), (full, empty), (full, full[:2])):
        with pytest.raises(ValueError, match="two non-empty masks of one shape"):
            surface_distances(*pair, (1, 1, 1))


@pytest.mark.parametrize("spacing", SPACINGS)
def test_bands_are_the_voxels_near_their_own_surface(spacing: tuple[float, ...]) -> None:
    first, second = np.zeros((2, 12, 11, 10), dtype=bool)
    first[0:9, 1:9, 1:9] = second[2:11, 2:10, 0:8] = True
    box = (slice(0, 11), slice(1, 10), slice(0, 9))
    found = Surfaces(first, second, spacing, axes=(0, 1, 2)).bands(2.6)
    for mask, band in zip((first, second), found, strict=True):
        deep = ndimage.distance_transform_edt(~surface(mask, (0, 1, 2)), sampling=spacing)
        np.testing.assert_array_equal(band, (mask & (deep <= 2.6))[box])


def test_each_transform_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = np.random.default_rng(1).random((2, 9, 9, 9)) < 0.5
    calls: list[int] = []

    def counting(mask: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
        calls.append(1)
        return distance_to(mask, spacing)

    monkeypatch.setattr(subject, "distance_to", counting)
    surfaces = Surfaces(first, second, (1, 1, 1), axes=(0, 1, 2))
    assert surfaces.distances is surfaces.distances
    for width in (1, 2):
        surfaces.bands(width)
    assert len(calls) == 2
