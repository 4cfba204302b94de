"""Overlays: the planes that show most, outlines along the edges of voxels, on the side where radiologists look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum.problem import Problem
from hilum.report.figures import colours
from hilum.report.overlay import Overlay, _across, _fullest, _panel, _sections, write_overlay

PROBLEM = Problem("segmentation", 3, ("image",), ("background", "organ", "lesion"), ((0,), (5,), (7, 8)))
SPACING = (1.0, 2.0, 4.0)


def case(labels: np.ndarray, *, anatomical: bool = True) -> Overlay:
    image = np.random.default_rng(1).normal(size=labels.shape).astype(np.float32)
    return Overlay("case-1", image, labels, SPACING, anatomical, {"organ": "3.1 ml"})


def body() -> np.ndarray:
    """An organ on the patient's left (high i), in front (high j) and above (high k), with a lesion in its top."""
    labels = np.zeros((40, 30, 20), np.int16)
    labels[26:36, 18:26, 10:18] = 5
    labels[30:33, 20:23, 15:17] = 7
    labels[33, 20, 15] = 8
    return labels


def coloured(file: Path, colour: str) -> np.ndarray:
    """Where the pixels of a picture are nearly of this colour."""
    with Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return np.asarray(np.abs(pixels - wanted).max(-1) < 12)


def test_the_planes_that_show_most_by_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hilum.report.overlay.COUNTED_VOXELS", 1300)  # two planes at a time
    labels = np.random.default_rng(2).choice([0, 5, 7, 8], size=(9, 31, 20), p=[0.6, 0.2, 0.1, 0.1])
    members = PROBLEM.membership(labels)
    for axis, counts in zip((2, 1, 0), _sections(labels, PROBLEM, [2, 1, 0]), strict=True):
        others = tuple(other + 1 for other in range(3) if other != axis)
        assert np.array_equal(counts, members.sum(others).T)
        shares = counts / counts.max(0)
        assert _fullest(counts) == int(np.argmax(shares.sum(1)))
    assert _fullest(np.zeros((7, 2), np.int64)) == 3


def test_planes_are_turned_as_radiologists_look() -> None:
    labels = body()
    axial = _panel(case(labels), PROBLEM, 2, 15)
    assert axial.masks.shape == (2, 30, 40)
    rows, columns = np.nonzero(axial.masks[0])
    assert rows.max() < 15  # the front is above
    assert columns.max() < 20  # the patient's left, at low i after the flip: right of i = 0 lies on the right
    assert axial.steps == (2.0, 1.0)
    assert axial.masks[1].sum() == 9 + 1
    sagittal = _panel(case(labels), PROBLEM, 0, 30)
    assert (sagittal.masks.shape, sagittal.steps, sagittal.name) == ((2, 20, 30), (4.0, 2.0), "sagittal")


def test_outlines_lie_around_the_structures(tmp_path: Path) -> None:
    write_overlay(case(body()), PROBLEM, tmp_path / "a.png")
    organ, lesion = (coloured(tmp_path / "a.png", colour) for colour in colours(2))
    assert organ.any()
    assert lesion.any()
    third = organ.shape[1] // 3
    for first in (0, third, 2 * third):  # all three planes show both, the lesion within the organ
        outer, inner = (np.argwhere(one[: int(0.8 * len(one)), first : first + third]) for one in (organ, lesion))
        assert (outer.min(0) <= inner.min(0)).all()
        assert (outer.max(0) >= inner.max(0)).all()


def test_a_picture_is_shown_as_it_is(tmp_path: Path) -> None:
    labels = np.zeros((30, 50, 1), np.uint8)
    labels[2:8, 40:48] = 5
    shown = case(labels, anatomical=False)
    assert _across(shown) == [2]
    panel = _panel(shown, PROBLEM, 2, 0)
    assert np.array_equal(panel.masks[0], labels[..., 0] == 5)
    assert np.array_equal(panel.image, shown.image[..., 0])
    write_overlay(shown, PROBLEM, tmp_path / "a.png")
    assert coloured(tmp_path / "a.png", colours(2)[0]).any()


def test_a_lone_sagittal_slice_is_one_plane() -> None:
    labels = np.zeros((1, 30, 20), np.uint8)
    assert _across(case(labels)) == [0]


def test_a_case_without_structures_has_its_picture_too(tmp_path: Path) -> None:
    write_overlay(case(np.zeros((8, 9, 10), np.uint8)), PROBLEM, tmp_path / "a.png")
    assert not any(coloured(tmp_path / "a.png", colour).any() for colour in colours(2))
