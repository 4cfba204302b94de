"""The montage of copies: three pictures a pair, and a difference that is empty once they are aligned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum.case import Case, ImageRef
from hilum.data.audit import Pair, Scan
from hilum.report.duplicates import montage, pictures


def scan(file: Path, pixels: np.ndarray, part: str = "train") -> Scan:
    if pixels.ndim == 3:
        np.save(file, pixels)
    else:
        Image.fromarray(pixels).save(file)
    return Scan(Case(file.stem, f"patient {file.stem}", (ImageRef(file),), "sick"), ImageRef(file), 0, part)


def ramp() -> np.ndarray:
    rows, columns = np.mgrid[:40, :60]
    return (2 * rows + columns).astype(np.uint8)


def test_a_copy_of_another_brightness_and_crop_leaves_no_difference(tmp_path: Path) -> None:
    whole, part = ramp(), ramp()[4:36, 6:54] // 2 + 30
    scale, shift = (40 / 32, 60 / 48), (0.0, 0.0)
    pair = Pair(scan(tmp_path / "a.png", whole), scan(tmp_path / "b.png", part), "near", 0.9, (0, False), scale, shift)
    first, second, difference = pictures(pair)
    np.testing.assert_array_equal(first, whole)
    np.testing.assert_array_equal(second, part)
    assert difference is not None
    assert np.isnan(difference[:4]).all()
    assert np.isnan(difference[:, 54:]).all()
    assert np.abs(difference[4:36, 6:54]).max() < 0.01


def test_a_mirrored_copy_is_turned_back_first(tmp_path: Path) -> None:
    pair = Pair(
        scan(tmp_path / "a.png", ramp()),
        scan(tmp_path / "b.png", ramp()[:, ::-1].copy()),
        "near",
        0.9,
        (0, True),
        (1.0, 1.0),
        (0.0, 0.0),
    )
    difference = pictures(pair)[2]
    assert difference is not None
    assert np.abs(difference).max() < 1e-5


def test_a_volume_is_shown_by_its_middle_slice_and_its_copy_is_laid_onto_it(tmp_path: Path) -> None:
    rows, columns, slices = np.mgrid[:16, :20, :12]
    whole = (2.0 * rows + columns + 3.0 * slices).astype(np.float32)
    copy = np.ascontiguousarray(5 - 0.5 * whole[2:14, :, ::-1])  # cropped, mirrored and a negative
    scans = scan(tmp_path / "a.npy", whole), scan(tmp_path / "b.npy", copy)
    pair = Pair(*scans, "near", 0.9, (4, False), (16 / 12, 1.0, 1.0), (0.0, 0.0, 0.0))
    first, second, difference = pictures(pair)
    np.testing.assert_array_equal(first, whole[:, :, 6].T[::-1])
    np.testing.assert_array_equal(second, copy[:, :, 6].T[::-1])
    assert difference is not None
    assert difference.shape == (20, 16)
    assert np.isnan(difference[:, [0, 1, 14, 15]]).all()
    assert np.abs(difference[:, 2:14]).max() < 1e-5


def test_a_changed_place_stands_out(tmp_path: Path) -> None:
    changed = ramp()
    changed[10:14, 20:24] = 255
    pair = Pair(scan(tmp_path / "a.png", ramp()), scan(tmp_path / "b.png", changed), "near", 0.9)
    difference = pictures(pair)[2]
    assert difference is not None
    assert difference[10:14, 20:24].min() > 0.5
    assert np.abs(difference[20:, 30:]).mean() < 0.1


def test_the_picture_has_as_many_rows_as_it_needs(tmp_path: Path) -> None:
    one, other = scan(tmp_path / "a.png", ramp()), scan(tmp_path / "b.png", ramp(), "val")
    sizes = []
    for count in (1, 2, 3):
        montage([Pair(one, other, "identical", 1.0)] * count, tmp_path / f"{count}.png")
        with Image.open(tmp_path / f"{count}.png") as image:
            sizes.append(image.size)
    assert sizes[1][0] == pytest.approx(2 * sizes[0][0], rel=0.05)
    assert sizes[2][0] == sizes[1][0]
    assert sizes[2][1] > 1.5 * sizes[1][1]
    with pytest.raises(ValueError, match="at least one pair"):
        montage([], tmp_path / "none.png")
