"""TIFF: every depth and colour model against what was stored, pages as a volume, masks, and files that are broken."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.formats.reading import read, read_header, read_mask
from hilum.formats.writing import mask_suffix, write_mask_like


def values(shape: tuple[int, ...], dtype: str = "uint8") -> npt.NDArray[Any]:
    high = 1.0 if dtype[0] == "f" else 256 ** np.dtype(dtype).itemsize / (2 if dtype[0] == "i" else 1)
    return (np.random.default_rng(0).random(shape) * high).astype(dtype)


def save(path: Path, array: npt.NDArray[Any], **options: Any) -> ImageRef:
    import tifffile

    tifffile.imwrite(path, array, **({"photometric": "minisblack"} | options))
    return ImageRef(path)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float32"])
def test_greys_are_rows_and_columns_in_pixels(dtype: str, compression: str | None, tmp_path: Path) -> None:
    array = values((5, 6), dtype)
    ref = save(tmp_path / "a.tif", array, compression=compression)
    header = read_header(ref)
    assert (header.stored, header.channels, header.frames, header.facts["photometric"]) == (dtype, 1, 1, "MINISBLACK")
    volume = read(ref)
    assert volume.grid.unit == "pixel"
    assert np.array_equal(volume.tensor[0, :, :, 0], array.astype("float32"))


@pytest.mark.parametrize("layout", ["metadata", "plain", "imagej"])
def test_pages_are_a_volume(layout: str, tmp_path: Path) -> None:
    array = values((4, 5, 6), "uint16")
    layouts: dict[str, dict[str, Any]] = {
        "metadata": {},
        "plain": {"metadata": None},
        "imagej": {"imagej": True, "metadata": {"axes": "ZYX"}},
    }
    volume = read(save(tmp_path / "a.tiff", array, **layouts[layout]))
    assert volume.grid.shape == (5, 6, 4)
    assert np.array_equal(volume.tensor[0], array.transpose(1, 2, 0))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("planar", [False, True])
def test_colours_are_three_channels(dtype: str, planar: bool, tmp_path: Path) -> None:
    array = values((3, 5, 6), dtype)
    stored = array if planar else np.moveaxis(array, 0, -1)
    ref = save(
        tmp_path / "a.tif", stored, photometric="rgb", planarconfig="separate" if planar else "contig", metadata=None
    )
    assert read_header(ref).channels == 3
    assert np.array_equal(read(ref).tensor[..., 0], array)


def test_axes_that_are_named_keep_their_meaning(tmp_path: Path) -> None:
    array = values((4, 2, 5, 6))
    ref = save(tmp_path / "channels.tif", array, imagej=True, metadata={"axes": "ZCYX"})
    assert np.array_equal(read(ref).tensor, array.transpose(1, 2, 3, 0))
    ref = save(tmp_path / "times.tif", array, imagej=True, metadata={"axes": "TZYX"})
    assert read_header(ref).frames == 4
    with pytest.raises(DataError, match="4 frames"):
        read(ref)
    assert np.array_equal(read(ImageRef(ref.path, index=3)).tensor[0], array[3].transpose(1, 2, 0))
    ref = save(tmp_path / "both.tif", array, imagej=True, metadata={"axes": "TCYX"})
    with pytest.raises(DataError, match="4 frames of 2 channels"):
        read(ref)


def test_opaque_alpha_is_dropped_and_transparency_refused(tmp_path: Path) -> None:
    array = values((5, 6, 4))
    array[..., 3] = 255
    options: dict[str, Any] = {"photometric": "rgb", "extrasamples": ["unassalpha"]}
    ref = save(tmp_path / "a.tif", array, **options)
    assert read_header(ref).channels == 3
    assert np.array_equal(read(ref).tensor[..., 0], np.moveaxis(array[..., :3], -1, 0))
    array[0, 0, 3] = 7
    with pytest.raises(DataError, match=r"b\.tif: uses transparency"):
        read(save(tmp_path / "b.tif", array, **options))


def test_a_colour_table_means_colours_in_images_and_numbers_in_masks(tmp_path: Path) -> None:
    array, table = values((5, 6)), values((3, 256), "uint16")
    ref = save(tmp_path / "a.tif", array, photometric="palette", colormap=table)
    assert read_header(ref).channels == 3
    assert np.array_equal(read(ref).tensor[..., 0], table[:, array] // 256)
    assert np.array_equal(read_mask(ref).tensor[0, :, :, 0], array)


def test_masks_of_one_bit_are_as_they_were_stored(tmp_path: Path) -> None:
    mask = values((5, 6)) > 99
    ref = save(tmp_path / "a.tif", mask, photometric="miniswhite")
    assert read_header(ref).facts["photometric"] == "MINISWHITE"
    assert np.array_equal(read_mask(ref).tensor[0, :, :, 0], mask)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32"])
def test_where_white_is_0_images_are_turned_round_and_labels_are_not(dtype: str, tmp_path: Path) -> None:
    array = values((5, 6), dtype)
    array[0, 0] = np.iinfo(dtype).min
    ref = save(tmp_path / "a.tif", array, photometric="miniswhite")
    limits = np.iinfo(dtype)
    expected = limits.min + limits.max - array.astype("int64")
    assert np.array_equal(read(ref).tensor[0, :, :, 0], expected.astype("float32"))
    if dtype == "uint8":
        assert np.array_equal(read_mask(ref).tensor[0, :, :, 0], array)
    with pytest.raises(DataError, match=r"b\.tif: white is 0, and floating point has no highest value"):
        read_header(save(tmp_path / "b.tif", array.astype("float32"), photometric="miniswhite"))


def test_masks_are_pictures_or_stacks_like_their_images(tmp_path: Path) -> None:
    flat, stack = save(tmp_path / "a.tif", values((5, 6))), save(tmp_path / "b.tif", values((4, 5, 6)))
    assert (mask_suffix(flat), mask_suffix(stack)) == (".png", ".tif")
    for ref, shape, highest in ((flat, (5, 6, 1), 300), (stack, (5, 6, 4), 3), (stack, (5, 6, 4), 70000)):
        labels = np.random.default_rng(0).integers(0, highest, shape) % (65536 if shape[2] == 1 else 2**32)
        out = tmp_path / f"mask{mask_suffix(ref)}"
        write_mask_like(labels, ref, out)
        assert np.array_equal(read_mask(ImageRef(out)).tensor[0], labels)
        first = out.read_bytes()
        write_mask_like(labels, ref, out)
        assert out.read_bytes() == first
    with pytest.raises(DataError, match="do not fit this format"):
        write_mask_like(np.full((5, 6, 4), -1), stack, tmp_path / "mask.tif")


def test_broken_files_are_named(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", values((5, 6))).path
    content = path.read_bytes()
    for broken in (b"", b"hello" * 20, content[:20]):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"a\.tif: not a readable TIFF file"):
            read_header(ImageRef(path))
    path.write_bytes(content[:-10])
    with pytest.raises(DataError, match=r"a\.tif: pixels cannot be read"):
        read(ImageRef(path))
    cut = save(tmp_path / "z.tif", values((64, 64)), compression="zlib").path
    cut.write_bytes(cut.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"z\.tif: pixels cannot be read"):
        read(ImageRef(cut))


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    import tifffile

    with tifffile.TiffWriter(tmp_path / "sizes.tif") as writer:
        for size in (5, 6):
            writer.write(values((size, size)), photometric="minisblack")
    with pytest.raises(DataError, match=r"sizes\.tif: holds 2 images of different sizes"):
        read_header(ImageRef(tmp_path / "sizes.tif"))
    with pytest.raises(DataError, match="colour model SEPARATED, expected greys or RGB"):
        read_header(save(tmp_path / "cmyk.tif", values((5, 6, 4)), photometric="separated"))
    with pytest.raises(DataError, match="complex64 are no picture"):
        read_header(save(tmp_path / "complex.tif", values((5, 6), "float32").astype("complex64")))
