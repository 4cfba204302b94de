"""Reading any format: channels on one grid, masks of whole numbers, and paths that lead nowhere."""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.formats.atomic import write_whole
from hilum.formats.nifti import write_volume
from hilum.formats.reading import FORMATS, is_image, read, read_header, read_image, read_mask, stem


def save(path: Path, array: npt.NDArray[np.generic], affine: npt.ArrayLike | None = None) -> ImageRef:
    write_volume(path, array, np.eye(4) if affine is None else affine)
    return ImageRef(path)


def test_modalities_are_stacked_in_order(tmp_path: Path) -> None:
    arrays = [np.full((2, 3, 4), value, dtype=np.int16) for value in (7, 8, 9)]
    refs = [save(tmp_path / f"{index}.nii", array) for index, array in enumerate(arrays)]
    volume = read_image(refs)
    assert volume.tensor.dtype == torch.float32
    assert volume.tensor.is_contiguous()
    assert np.array_equal(volume.tensor, np.stack(arrays))


@pytest.mark.parametrize("other", ["shape", "affine"])
def test_modalities_on_other_grids_are_refused_with_both(other: str, tmp_path: Path) -> None:
    array = np.zeros((2, 3, 4), dtype=np.int16)
    moved = np.diag([1.0, 1.0, 1.5, 1.0])
    second = save(tmp_path / "b.nii", array[:1] if other == "shape" else array, moved if other == "affine" else None)
    with pytest.raises(DataError, match=r"b\.nii and .*a\.nii lie on different grids: .* against .*") as failure:
        read_image([save(tmp_path / "a.nii", array), second])
    assert ("(1, 3, 4)" if other == "shape" else "1.5") in str(failure.value)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8"])
def test_masks_are_whole_numbers(dtype: str, tmp_path: Path) -> None:
    labels = np.arange(24).reshape(2, 3, 4)
    near = labels.astype(dtype) * (np.float32(0.99999997) if dtype[0] == "f" else 1)
    mask = read_mask(save(tmp_path / "mask.nii.gz", near.astype(dtype)))
    assert mask.tensor.dtype == torch.int32
    assert np.array_equal(mask.tensor[0], labels)


@pytest.mark.parametrize("value", [0.5, 1.01, np.nan, np.inf])
def test_masks_of_other_numbers_are_refused(value: float, tmp_path: Path) -> None:
    array = np.zeros((2, 3, 4), dtype=np.float32)
    array[1, 1, 1] = value
    with pytest.raises(DataError, match=rf"soft\.nii: not whole numbers: received {value:g} \(1 such"):
        read_mask(save(tmp_path / "soft.nii", array))


def test_labels_beyond_32_bits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="exceed 32 bits"):
        read_mask(save(tmp_path / "large.nii", np.full((2, 2, 2), 2**40)))


@pytest.mark.parametrize("reader", [read, read_mask, read_header])
def test_paths_that_lead_nowhere_are_named(reader: object, tmp_path: Path) -> None:
    assert callable(reader)
    (tmp_path / "folder.nii").mkdir()
    save(tmp_path / "case_01.nii.gz", np.zeros((2, 2, 2), dtype=np.uint8))
    with pytest.raises(DataError, match=r"folder\.nii: is a folder"):
        reader(ImageRef(tmp_path / "folder.nii"))
    with pytest.raises(DataError, match=r"case_1\.nii\.gz: no such file; did you mean 'case_01\.nii\.gz'"):
        reader(ImageRef(tmp_path / "case_1.nii.gz"))
    with pytest.raises(DataError, match=r"nowhere/case\.nii: no such file$"):
        reader(ImageRef(tmp_path / "nowhere" / "case.nii"))
    with pytest.raises(DataError, match=r"scan\.xyz: unknown kind of file; hilum reads \.nii, \.nii\.gz, \.mha"):
        reader(ImageRef(tmp_path / "scan.xyz"))


@pytest.mark.parametrize(
    ("name", "near"), [("a.nii.gzip", ".nii.gz"), ("a.nrd", ".nrrd"), ("a.tifff", ".tiff"), ("a.jpge", ".jpg")]
)
def test_an_unknown_suffix_is_told_the_nearest(name: str, near: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"1234")
    with pytest.raises(DataError, match=rf"unknown kind of file; .*; did you mean \{near}\?$"):
        read_header(ImageRef(tmp_path / name))


def test_links_in_a_circle_are_no_files(tmp_path: Path) -> None:
    for first, second in (("a.nii.gz", "b.nii.gz"), ("b.nii.gz", "a.nii.gz")):
        (tmp_path / first).symlink_to(tmp_path / second)
    with pytest.raises(DataError, match=r"a\.nii\.gz: no such file"):
        read(ImageRef(tmp_path / "a.nii.gz"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
@pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".nrrd", ".dcm", ".png", ".tif", ".npy"])
def test_files_that_may_not_be_read_are_named(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"secret{suffix}"
    path.write_bytes(b"1234")
    path.chmod(0)
    with pytest.raises(DataError, match=rf"secret\{suffix}"):
        read_header(ImageRef(path))


@pytest.mark.parametrize("suffix", [suffix for option in FORMATS for suffix in option.suffixes])
@pytest.mark.parametrize("content", [b"", b"no image at all" * 40])
def test_files_of_another_kind_than_their_name_says_are_named(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"wrong{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"wrong\{suffix}: "):
        read_header(ImageRef(path, "a", 0) if suffix == ".npz" else ImageRef(path))


def test_how_voxels_are_stored_makes_no_header_different(tmp_path: Path) -> None:
    first = read_header(save(tmp_path / "a.nii", np.zeros((2, 3, 4), dtype="uint8")))
    second = read_header(save(tmp_path / "b.nii", np.zeros((2, 3, 4), dtype="float32")))
    assert (first.stored, second.stored) == ("uint8", "float32")
    assert first == second


def test_stem_knows_double_suffixes() -> None:
    assert [stem(Path(name)) for name in ("a/b.nii.gz", "b.c.nii", "D.PNG", "e.npz")] == ["b", "b.c", "D", "e"]
    assert [is_image(Path(name)) for name in ("b.nii.gz", "B.JPG", "e.npz", "f.txt", "g.dcm", "h.raw")] == [
        *(True, True, False, False, True, False),
    ]


def test_files_appear_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "new" / "file.bin"
    write_whole(target, b"first")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_whole(target, b"second")
    assert target.read_bytes() == b"first"
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]
