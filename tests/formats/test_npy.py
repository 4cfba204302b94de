"""Lone arrays: pictures and volumes as in .npz files, masks of the same shape, and files that are broken."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.formats.reading import read, read_header, read_mask
from hilum.formats.writing import mask_suffix, write_mask_like


def save(path: Path, array: Any) -> ImageRef:
    np.save(path, array)
    return ImageRef(path)


@pytest.mark.parametrize(
    ("shape", "grid", "channels"),
    [((5, 6), (5, 6, 1), 1), ((5, 6, 3), (5, 6, 1), 3), ((4, 5, 6), (4, 5, 6), 1), ((4, 5, 6, 3), (4, 5, 6), 3)],
)
def test_shape_tells_picture_volume_and_colours(
    shape: tuple[int, ...], grid: tuple[int, ...], channels: int, tmp_path: Path
) -> None:
    array = np.random.default_rng(0).random(shape).astype("float32")
    ref = save(tmp_path / "a.npy", array)
    header = read_header(ref)
    assert (header.grid.shape, header.grid.unit, header.channels, header.stored) == (grid, "pixel", channels, "float32")
    assert np.array_equal(read(ref).tensor, np.moveaxis(array.reshape(*grid, channels), -1, 0))
    labels = np.random.default_rng(0).integers(0, 300, grid)
    out = tmp_path / f"mask{mask_suffix(ref)}"
    write_mask_like(labels, ref, out)
    assert np.load(out).shape == shape[: len(shape) - (channels == 3)]
    assert np.array_equal(read_mask(ImageRef(out)).tensor[0], labels)


def test_order_and_byte_order_do_not_matter(tmp_path: Path) -> None:
    array = np.arange(120, dtype=">i2").reshape(4, 5, 6)
    assert np.array_equal(read(save(tmp_path / "a.npy", np.asfortranarray(array))).tensor[0], array)


def test_faults_are_named(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npy", np.zeros((5, 6))).path
    content = path.read_bytes()
    for broken in (b"", b"hello" * 50, content[:40], content[:-8]):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"a\.npy: not a readable \.npy file"):
            read_header(ImageRef(path))
    np.savez(tmp_path / "b.npz", a=np.zeros((5, 6)))
    (tmp_path / "b.npz").rename(tmp_path / "b.npy")
    for ref in (ImageRef(tmp_path / "b.npy"), save(tmp_path / "object.npy", np.array([{}, None], dtype=object))):
        with pytest.raises(DataError, match=r"not a readable \.npy file"):
            read_header(ref)
    for array in (np.zeros(5), np.zeros((2, 3, 4, 5)), np.zeros((4, 5), dtype="complex64"), np.zeros((4, 5), "U3")):
        with pytest.raises(DataError, match="does not hold an image"):
            read_header(save(tmp_path / "c.npy", array))
    with pytest.raises(DataError, match="does not fit"):
        write_mask_like(np.zeros((5, 6, 2), dtype=int), save(tmp_path / "d.npy", np.zeros((5, 6))), tmp_path / "m.npy")
