"""Rows of arrays in .npz files."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.formats.npz import array_names, load_array
from hilum.formats.reading import read, read_header, read_mask
from hilum.formats.writing import write_mask_like

RNG = np.random.default_rng(3)
ARRAYS: dict[str, Any] = {
    "grey": RNG.integers(0, 255, (5, 6, 7), dtype=np.uint8),
    "colour": RNG.integers(0, 255, (5, 6, 7, 3), dtype=np.uint8),
    "volume": RNG.integers(0, 255, (5, 6, 7, 8), dtype=np.uint8),
    "labels": RNG.integers(0, 2, (5, 1)),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.savez_compressed(tmp_path / "images.npz", **ARRAYS)
    return tmp_path / "images.npz"


def test_row_is_a_picture_or_a_volume(file: Path) -> None:
    grey, colour, volume = (read(ImageRef(file, key, 2)) for key in ("grey", "colour", "volume"))
    assert np.array_equal(grey.tensor[0, :, :, 0], ARRAYS["grey"][2])
    assert np.array_equal(colour.tensor[..., 0], np.moveaxis(ARRAYS["colour"][2], -1, 0))
    assert np.array_equal(volume.tensor[0], ARRAYS["volume"][2])
    assert [item.grid.shape for item in (grey, colour, volume)] == [(6, 7, 1), (6, 7, 1), (6, 7, 8)]
    assert {item.grid.unit for item in (grey, colour, volume)} == {"pixel"}
    assert read_header(ImageRef(file, "colour", 0)).channels == 3
    assert np.array_equal(read_mask(ImageRef(file, "grey", 1)).tensor[0, :, :, 0], ARRAYS["grey"][1])


def test_array_is_loaded_once_and_again_when_the_file_changes(file: Path) -> None:
    assert load_array(file, "grey") is load_array(file, "grey")
    np.savez_compressed(file, grey=ARRAYS["grey"] + 1)
    os.utime(file, ns=(1, 1))
    assert np.array_equal(load_array(file, "grey"), ARRAYS["grey"] + 1)
    assert array_names(file) == ("grey",)


def test_what_is_read_may_be_changed_without_changing_the_next_read(file: Path) -> None:
    np.savez(file, grey=ARRAYS["grey"].astype(np.float32))
    read(ImageRef(file, "grey", 0)).tensor.zero_()
    assert np.array_equal(read(ImageRef(file, "grey", 0)).tensor[0, :, :, 0], ARRAYS["grey"][0])


def test_faults_are_named(file: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no array 'gray' among .*did you mean 'grey'"):
        read(ImageRef(file, "gray", 0))
    with pytest.raises(DataError, match="row 5 of 'grey' was asked for, it has rows 0 to 4"):
        read(ImageRef(file, "grey", 5))
    with pytest.raises(DataError, match=r"'labels' of shape \(5, 1\).* does not hold images"):
        read(ImageRef(file, "labels", 0))
    with pytest.raises(DataError, match="name one and a row of it; there are grey, colour"):
        read(ImageRef(file))
    with pytest.raises(DataError, match=r"masks cannot be written for \.npz"):
        write_mask_like(np.zeros((6, 7, 1), dtype=int), file, tmp_path / "mask.png")


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "pickled.npz", grey=np.array([{}, []], dtype=object))
    with pytest.raises(DataError, match=r"pickled\.npz: array 'grey' cannot be read"):
        read(ImageRef(tmp_path / "pickled.npz", "grey", 0))


@pytest.mark.parametrize("name", ["empty", "truncated", "text", "bare"])
def test_broken_files_are_named(name: str, file: Path) -> None:
    content = file.read_bytes()
    np.save(file.with_name("bare.npy"), ARRAYS["grey"])
    bare = file.with_name("bare.npy").read_bytes()
    path = file.with_name(f"{name}.npz")
    path.write_bytes({"empty": b"", "truncated": content[: len(content) // 2], "text": b"no array", "bare": bare}[name])
    with pytest.raises(DataError, match=rf"{name}\.npz: not a readable \.npz file \(.+\)"):
        read(ImageRef(path, "grey", 0))
