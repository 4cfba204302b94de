"""Surfaces against SciPy's erosion, boxes against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hilum.geometry import surfaces as subject
from hilum.geometry.surfaces import bounding_box, enclosing_box, label_boxes, surface, true_axes


@pytest.mark.parametrize("density", [0.0, 0.05, 0.5, 0.95, 1.0])
def test_surface_is_what_erosion_by_faces_removes(density: float) -> None:
    mask = np.random.default_rng(0).random((7, 9, 5)) < density
    eroded = ndimage.binary_erosion(mask, ndimage.generate_binary_structure(3, 1))
    np.testing.assert_array_equal(surface(mask, (0, 1, 2)), mask & ~eroded)


def test_surface_of_an_image_ignores_the_axis_that_was_not_seen() -> None:
    mask = np.random.default_rng(1).random((12, 11, 1)) < 0.8
    eroded = ndimage.binary_erosion(mask[..., 0], ndimage.generate_binary_structure(2, 1))
    np.testing.assert_array_equal(surface(mask, true_axes(mask.shape))[..., 0], mask[..., 0] & ~eroded)


def test_surface_leaves_its_input_alone() -> None:
    mask = np.ones((4, 4, 4), dtype=bool)
    assert surface(mask, (0, 1, 2)).sum() == 4**3 - 2**3
    assert mask.all()


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((5, 6, 7), (0, 1, 2)), ((5, 6, 1), (0, 1)), ((1, 6, 7), (1, 2)), ((1, 1, 1), (0, 1, 2)), ((4, 1, 1), (0,))],
)
def test_true_axes_have_more_than_one_voxel(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    assert true_axes(shape) == axes


@pytest.mark.parametrize("seed", range(5))
def test_bounding_box_is_the_range_of_the_coordinates(seed: int) -> None:
    mask = np.random.default_rng(seed).random((8, 6, 7)) < 0.02
    mask[seed, 3, 2] = True
    points = np.argwhere(mask)
    expected = tuple(slice(low, high + 1) for low, high in zip(points.min(0), points.max(0), strict=True))
    assert bounding_box(mask) == expected


def test_bounding_box_of_nothing_is_empty() -> None:
    mask = np.zeros((4, 5, 6), dtype=bool)
    assert mask[bounding_box(mask)].size == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
@pytest.mark.parametrize(("limit", "few"), [(2**16, 0), (10, 0), (2**16, 8)], ids=["one pass", "some", "each alone"])
def test_boxes_of_label_values_are_those_of_their_masks(
    monkeypatch: pytest.MonkeyPatch, limit: int, few: int, dtype: type[np.integer]
) -> None:
    monkeypatch.setattr(subject, "LARGEST_IN_ONE_PASS", limit)
    monkeypatch.setattr(subject, "FEW_VALUES", few)
    rng = np.random.default_rng(2)
    labels = np.zeros((9, 8, 7), dtype=dtype)
    labels[2:8, 1:6, 3:] = rng.choice(np.array([0, 0, 0, 1, 2, 90]), (6, 5, 4))
    values = [2, 0, 90, 5, 100]
    for view in (labels, labels.transpose(2, 0, 1)[::-1]):
        found = label_boxes(view, values)
        assert set(found) == set(values)
        for value, box in found.items():
            np.testing.assert_array_equal(np.argwhere(view[box] == value), np.argwhere(view == value) - offset(box))
            assert box == bounding_box(view == value)


def offset(box: tuple[slice, ...]) -> np.ndarray:
    return np.array([side.start for side in box])


def test_negative_values_have_boxes_too() -> None:
    labels = np.zeros((4, 5, 6), dtype=np.int16)
    labels[1, 2, 3:5] = -7
    assert label_boxes(labels, [-7]) == {-7: (slice(1, 2), slice(2, 3), slice(3, 5))}


def test_a_box_around_boxes_leaves_out_the_empty_ones() -> None:
    nowhere = (slice(0, 0),) * 2
    boxes = [(slice(3, 5), slice(1, 2)), nowhere, (slice(4, 9), slice(0, 1))]
    assert enclosing_box(boxes) == (slice(3, 9), slice(0, 2))
    assert enclosing_box([nowhere, nowhere]) == nowhere
