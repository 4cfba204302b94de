"""Cases in three planes: as radiologists look, cropped to what matters, drawn where the voxels are."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hilum.report.page.planes import MOST_PIXELS, VIEW, CaseView, data_uri, planes, side_by_side, windowed

SHAPE = (20, 24, 16)


def volume_case(**changes: object) -> CaseView:
    """A block in the middle; the image is bright in the corner that is right, anterior and superior."""
    image = np.zeros(SHAPE, dtype=np.float32)
    image[-6:, -6:, -6:] = 1
    truth = np.zeros(SHAPE, dtype=np.uint8)
    truth[4:16, 4:20, 4:12] = 1
    prediction = np.zeros(SHAPE, dtype=np.uint8)
    prediction[5:16, 4:20, 4:12] = 1
    case = CaseView("c1", "worst", image, (1.0, 1.0, 2.0), truth, prediction, anatomical=True)
    return replace(case, **changes)  # type: ignore[arg-type]


def decoded(uri: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as picture:
        return np.asarray(picture)


def test_the_right_of_the_patient_is_on_the_left_and_the_front_above() -> None:
    """In each plane, from where the bright corner of the image would lie."""
    marked = np.zeros(SHAPE, dtype=np.float32)
    marked[15:, :, :] += 1  # right
    marked[:, 18:, :] += 2  # anterior
    marked[:, :, 12:] += 4  # superior
    axial, coronal, sagittal = planes(volume_case(image=marked))
    assert [plane.name for plane in (axial, coronal, sagittal)] == ["axial", "coronal", "sagittal"]
    assert (axial.image[0, 0] % 4, axial.image[-1, -1] % 4) == (3, 0)  # above: anterior, left: right
    assert axial.image[-1, 0] % 4 == 1
    assert coronal.image[0, 0] - coronal.image[-1, -1] == 5  # above: superior, left: right
    assert coronal.image[0, -1] - coronal.image[-1, -1] == 4
    assert sagittal.image[0, 0] - sagittal.image[-1, -1] == 6  # above: superior, left: anterior
    assert sagittal.image[-1, 0] - sagittal.image[-1, -1] == 2
    assert axial.steps == (1.0, 1.0)
    assert coronal.steps == sagittal.steps == (2.0, 1.0)


def test_outlines_lie_where_the_voxels_are() -> None:
    """The axial outline of the truth, moved as the picture says, covers the block's share of the window."""
    (axial, *_) = planes(volume_case())
    left, right, _, top = axial.window
    picture = str(side_by_side(volume_case(), ["block"])).partition("</svg>")[0]
    ((path, move),) = re.findall(r'<path d="([^"]+)" transform="([^"]+)" class="truth', picture)
    x_shift, y_shift, x_scale, y_scale = map(float, re.findall(r"-?[\d.]+", move))
    points = [(float(x), float(y)) for x, y in re.findall(r"(\d+) (\d+)", path)]
    corners = [(x * x_scale + x_shift, y * y_scale + y_shift) for x, y in points]
    unit = VIEW / (right - left)
    assert min(corners) == pytest.approx(((20 - 16 - left) * unit, (24 - 20 - top) * unit), abs=0.05)
    assert max(corners) == pytest.approx(((20 - 4 - left) * unit, (24 - 4 - top) * unit), abs=0.05)


def test_letters_stand_at_the_edges_of_volumes_only() -> None:
    letters = re.findall(r'class="edge"[^>]*>(\w)<', str(side_by_side(volume_case(), ["block"])))
    assert letters == [*"RLAP", *"RLSI", *"APSI"]
    flat = volume_case(
        image=np.ones((30, 40, 1), np.float32),
        truth=np.ones((30, 40, 1), np.uint8),
        prediction=np.zeros((30, 40, 1), np.uint8),
        anatomical=False,
    )
    assert 'class="edge"' not in side_by_side(flat, ["block"])
    (only,) = planes(flat)
    assert only.image.shape == (30, 40)


def test_a_case_without_truth_or_without_any_structure_is_drawn() -> None:
    nothing = np.zeros(SHAPE, dtype=np.uint8)
    for case in (volume_case(truth=None), volume_case(truth=nothing, prediction=nothing)):
        drawn = str(side_by_side(case, ["block"]))
        assert drawn.count("<image") == 3
        assert 'class="truth' not in drawn


def test_a_picture_keeps_its_greys_and_large_ones_are_made_smaller() -> None:
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    assert np.array_equal(decoded(data_uri(values)), np.round(255 * values).astype(np.uint8))
    colour = np.random.default_rng(0).random((900, 450, 3), dtype=np.float32)
    assert decoded(data_uri(colour)).shape == (MOST_PIXELS, MOST_PIXELS // 2, 3)


def test_greys_lie_between_the_percentiles_and_missing_values_are_black() -> None:
    image = np.arange(101, dtype=np.float32).reshape(1, 101)
    assert windowed(image, headroom=1.0)[0, [1, 50, 99, 100]] == pytest.approx([0, 0.5, 1, 1])
    assert windowed(np.full((2, 2), np.nan, dtype=np.float32)).tolist() == [[0, 0], [0, 0]]
