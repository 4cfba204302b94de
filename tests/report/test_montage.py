"""The montage: the right cases, plane, slice, place and colours, read from the pixels of the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum.report.figures import OVERLAY_PALETTE, colours
from hilum.report.montage import FILL, MontageCase, montage, worst_median_best

NAMES = {1: "organ", 5: "lesion"}


def tinted(picture: Path, colour: str) -> np.ndarray:
    """Which pixels show a filled structure of that colour on black."""
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB")).astype(float)
    wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) * FILL
    return np.asarray(np.abs(pixels - wanted).max(axis=-1) < 3)


def case(prediction: np.ndarray, truth: np.ndarray | None = None, spacing: tuple = (1.0, 1.0, 1.0)) -> MontageCase:
    image = np.zeros(prediction.shape, dtype=np.float32)
    return MontageCase("case-1", image, spacing, truth, prediction, {"dice": 0.5, "hd95": float("nan")}, "worst")


def box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of the marked pixels."""
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def test_a_row_each_for_worst_median_and_best() -> None:
    scores = {"a": 0.9, "b": 0.1, "c": 0.5, "d": 0.7, "e": 0.3}
    assert worst_median_best(scores) == [("worst", "b"), ("median", "c"), ("best", "a")]
    assert worst_median_best(scores, better="lower") == [("worst", "a"), ("median", "c"), ("best", "b")]
    assert worst_median_best({**scores, "missed": float("nan")})[0] == ("worst", "missed")
    assert worst_median_best({"a": 0.9, "b": 0.1}) == [("worst", "b"), ("best", "a")]
    assert worst_median_best({"a": 0.9}) == [("worst", "a")]
    assert worst_median_best({}) == []


def test_a_structure_lies_where_it_should(tmp_path: Path) -> None:
    """In a volume the first axis runs to the right and the second up; the lesion stands at high i and high j."""
    labels = np.zeros((40, 40, 40), dtype=np.uint8)
    labels[10:30, 10:30, 20] = 1
    labels[25:30, 25:30, 20] = 5
    montage([case(labels)], tmp_path / "m.png", NAMES)
    organ, lesion = (
        box(tinted(tmp_path / "m.png", OVERLAY_PALETTE[0])),
        box(tinted(tmp_path / "m.png", OVERLAY_PALETTE[1])),
    )
    assert lesion[0] == pytest.approx(organ[0], abs=2)  # at the top
    assert lesion[3] == pytest.approx(organ[3], abs=2)  # on the right
    assert lesion[1] - lesion[0] == pytest.approx((organ[1] - organ[0]) / 4, abs=3)


def test_an_image_keeps_its_rows_and_columns(tmp_path: Path) -> None:
    labels = np.zeros((30, 40, 1), dtype=np.uint8)
    labels[2:28, 5:35] = 1
    labels[2:8, 29:35] = 5
    montage([case(labels)], tmp_path / "m.png", NAMES)
    organ, lesion = (
        box(tinted(tmp_path / "m.png", OVERLAY_PALETTE[0])),
        box(tinted(tmp_path / "m.png", OVERLAY_PALETTE[1])),
    )
    assert lesion[0] == pytest.approx(organ[0], abs=2)
    assert lesion[3] == pytest.approx(organ[3], abs=2)


@pytest.mark.parametrize(
    ("spacing", "ratio"), [((1.0, 1.0, 1.0), 1.0), ((1.0, 2.5, 1.0), 2.5), ((3.0, 1.0, 9.0), 1 / 3)]
)
def test_proportions_are_those_of_the_body(tmp_path: Path, spacing: tuple[float, float, float], ratio: float) -> None:
    labels = np.zeros((40, 40, 10), dtype=np.uint8)
    labels[10:30, 10:30, 4] = 1
    montage([case(labels, spacing=spacing)], tmp_path / "m.png", NAMES)
    top, bottom, left, right = box(tinted(tmp_path / "m.png", OVERLAY_PALETTE[0]))
    assert (bottom - top) / (right - left) == pytest.approx(ratio, rel=0.04)


def test_the_plane_with_most_foreground_and_a_slice_with_every_structure(tmp_path: Path) -> None:
    labels = np.zeros((20, 40, 40), dtype=np.uint8)
    labels[8, 5:35, 5:35] = 1
    labels[9, 6:34, 6:34] = 1
    labels[9, 20:24, 20:24] = 5  # a slightly smaller section, but the only one with the lesion
    montage([case(labels)], tmp_path / "m.png", NAMES)
    assert tinted(tmp_path / "m.png", OVERLAY_PALETTE[1]).sum() > 100
    top, bottom, left, right = box(tinted(tmp_path / "m.png", OVERLAY_PALETTE[0]))
    assert bottom - top == pytest.approx(right - left, abs=3)  # 28 x 28 voxels: the plane across the first axis


def test_truth_has_its_own_column_and_an_outline(tmp_path: Path) -> None:
    truth = np.zeros((40, 40, 4), dtype=np.int16)
    truth[10:30, 10:30] = 1
    montage([case(np.zeros_like(truth), truth), case(truth, truth), case(truth)], tmp_path / "m.png", NAMES)
    rows = np.array_split(tinted(tmp_path / "m.png", OVERLAY_PALETTE[0]), 3, axis=0)
    middle = rows[0].shape[1] * 0.73  # between the columns of truth and prediction
    missed, found, unknown = (np.nonzero(row.sum(0) > 100)[0] for row in rows)
    assert missed.max() < middle
    assert found.min() < middle < found.max()
    assert unknown.min() > middle


def test_a_value_that_no_class_has_is_not_followed(tmp_path: Path) -> None:
    """An ignored area is larger than the organ, but has nothing to show."""
    truth = np.zeros((40, 40, 4), dtype=np.int16)
    truth[:, :, 0] = 255
    truth[15:25, 15:25, 3] = 1
    montage([case(np.zeros_like(truth), truth)], tmp_path / "m.png", NAMES)
    assert tinted(tmp_path / "m.png", OVERLAY_PALETTE[0]).sum() > 1000


def test_nothing_predicted_is_still_a_picture(tmp_path: Path) -> None:
    empty = np.zeros((8, 9, 10), dtype=np.uint8)
    montage([case(empty, empty), case(empty)], tmp_path / "m.png", {0: "background", 1: "organ"})
    assert [path.name for path in tmp_path.iterdir()] == ["m.png"]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 105])
def test_every_structure_has_its_own_colour(count: int) -> None:
    assert len(set(colours(count))) == count


def test_a_structure_whose_label_value_is_0_is_shown(tmp_path: Path) -> None:
    """Membranes are 0 in their masks, and the background of the scores is 255."""
    labels = np.full((30, 30, 1), 255, dtype=np.uint8)
    labels[5:25, 5:25] = 0
    montage([case(labels, labels)], tmp_path / "m.png", {0: "membrane"})
    assert tinted(tmp_path / "m.png", OVERLAY_PALETTE[0]).sum() > 1000
